/** What an object with events has for each of them; types alone, over the methods of an EventTarget. */
export interface TypedEventTarget<Events extends object> {
	/** As of an EventTarget; `detail` of the event has the type that belongs to its name. */
	addEventListener<Name extends keyof Events & string>(
		type: Name,
		listener: ((event: CustomEvent<Events[Name]>) => void) | null,
		options?: AddEventListenerOptions | boolean,
	): void;
	/** As of an EventTarget. */
	addEventListener(
		type: string,
		listener: EventListenerOrEventListenerObject | null,
		options?: AddEventListenerOptions | boolean,
	): void;

	/** As of an EventTarget. */
	removeEventListener<Name extends keyof Events & string>(
		type: Name,
		listener: ((event: CustomEvent<Events[Name]>) => void) | null,
		options?: EventListenerOptions | boolean,
	): void;
	/** As of an EventTarget. */
	removeEventListener(
		type: string,
		listener: EventListenerOrEventListenerObject | null,
		options?: EventListenerOptions | boolean,
	): void;
}

/** An object with events whose types are known: `Events` maps the name of each to what its `detail` is. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface narrows what the base class has, and adds nothing.
export abstract class TypedEventTarget<Events extends object> extends EventTarget {
	/** Tell whoever listens; a listener that throws disturbs neither the others nor the caller. */
	protected emit<Name extends keyof Events & string>(type: Name, detail: Events[Name]): void {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
