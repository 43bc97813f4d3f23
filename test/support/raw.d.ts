/** A file as text, by way of the bundler. */
declare module "*?raw" {
	const text: string;
	export default text;
}
