import type { VideoRendition } from "./catalog.ts";
import { CmafDemuxer } from "./cmaf.ts";
import { rankRenditions, videoDecoderConfig } from "./codec.ts";
import { ContainerError, type Demuxer } from "./container.ts";
import { LegacyDemuxer } from "./legacy.ts";
import { LocDemuxer } from "./loc.ts";

/** A rendition that this browser can play, and how. */
export interface PlayableRendition {
	rendition: VideoRendition;
	demuxer: Demuxer;
	config: VideoDecoderConfig;
}

/** The best rendition that can be decoded here. `unusable` says why one cannot; it is not offered again by the caller. */
export async function chooseRendition(
	renditions: Iterable<VideoRendition>,
	preferred: string | undefined,
	unusable: (rendition: VideoRendition, reason: string) => void,
): Promise<PlayableRendition | undefined> {
	for (const rendition of rankRenditions(renditions, preferred)) {
		try {
			const demuxer = createDemuxer(rendition);
			const config = await videoDecoderConfig(rendition, demuxer.description);
			if (config) return { rendition, demuxer, config };
			unusable(rendition, `this browser cannot decode ${rendition.codec}`);
		} catch (error) {
			if (!(error instanceof ContainerError)) throw error;
			unusable(rendition, error.message);
		}
	}
	return undefined;
}

function createDemuxer({ container }: VideoRendition): Demuxer {
	switch (container.kind) {
		case "legacy":
			return new LegacyDemuxer();
		case "loc":
			return new LocDemuxer();
		case "cmaf":
			return new CmafDemuxer(container.init);
	}
}
