/** Whether graphics are really accelerated here. A software GPU does not own up by the performance caveat when it was asked for, but by its name. */
export function hasGpu(): boolean {
	const context = new OffscreenCanvas(1, 1).getContext("webgl2");
	const names = context?.getExtension("WEBGL_debug_renderer_info");
	if (!context || !names) return false;
	const renderer = String(context.getParameter(names.UNMASKED_RENDERER_WEBGL));
	context.getExtension("WEBGL_lose_context")?.loseContext();
	return !/swiftshader|llvmpipe|softpipe|software/i.test(renderer);
}
