/** An object with events whose types are known: `Events` maps the name of each to what its `detail` is. */
export abstract class TypedEventTarget<Events extends object> extends EventTarget {
	/** As of an EventTarget; `detail` of the event has the type that belongs to its name. */
	override addEventListener<Name extends keyof Events & string>(
		type: Name,
		listener: ((event: CustomEvent<Events[Name]>) => void) | null,
		options?: AddEventListenerOptions | boolean,
	): void;
	override addEventListener(
		type: string,
		listener: EventListenerOrEventListenerObject | null,
		options?: AddEventListenerOptions | boolean,
	): void;
	override addEventListener(type: string, listener: unknown, options?: AddEventListenerOptions | boolean): void {
		super.addEventListener(type, listener as EventListener | null, options);
	}

	/** As of an EventTarget. */
	override removeEventListener<Name extends keyof Events & string>(
		type: Name,
		listener: ((event: CustomEvent<Events[Name]>) => void) | null,
		options?: EventListenerOptions | boolean,
	): void;
	override removeEventListener(
		type: string,
		listener: EventListenerOrEventListenerObject | null,
		options?: EventListenerOptions | boolean,
	): void;
	override removeEventListener(type: string, listener: unknown, options?: EventListenerOptions | boolean): void {
		super.removeEventListener(type, listener as EventListener | null, options);
	}

	/** Tell whoever listens; a listener that throws disturbs neither the others nor the caller. */
	protected emit<Name extends keyof Events & string>(type: Name, detail: Events[Name]): void {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
