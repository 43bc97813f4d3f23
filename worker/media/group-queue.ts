import type { Sample } from "./container.ts";

/** A sample with its place in the track. */
export interface QueuedSample {
	sample: Sample;
	sequence: number;
	/** First sample of its group: a keyframe whatever the container says, and where a decoder may start. */
	isFirst: boolean;
}

/** What became of the group that a skip gave up. */
export interface SkippedGroup {
	gid: number;
	/** Samples that will not be decoded, as far as they had arrived. */
	samples: number;
	/** Nothing more of it can arrive. */
	isComplete: boolean;
}

interface Group {
	gid: number;
	sequence: number;
	samples: Sample[];
	isComplete: boolean;
	isStarted: boolean;
	/** Highest presentation time that has arrived, and time of the last sample taken, µs. */
	newestUs?: number;
	takenUs?: number;
}

/** Most groups that are kept at a time: far more than a network overtakes, and few enough to be given up in one turn. */
const MAX_GROUPS = 128;

/**
 * Puts the samples of a track into decode order: groups by sequence, one after the other. Groups arrive in parallel and out
 * of order; the queue waits for the rest of a group only as long as the latency budget allows, and leaves it only for the
 * start of a newer one.
 */
export class GroupQueue {
	readonly #budgetUs: number;
	/** By sequence, oldest first. */
	readonly #groups: Group[] = [];
	#floor = -1;

	/** `budgetMs`: how far the newest picture may be ahead of the one that is waited for. */
	constructor(budgetMs: number) {
		this.#budgetUs = budgetMs * 1000;
	}

	/** Samples that wait. */
	get length(): number {
		return this.#groups.reduce((sum, group) => sum + group.samples.length, 0);
	}

	/** The group that is waited for: nothing of it is left and more is to come. */
	get starving(): number | undefined {
		const active = this.#groups[0];
		return active && active.samples.length === 0 && !active.isComplete ? active.gid : undefined;
	}

	/** Opens a group; false when it is too old, or its start is missing, and the caller should skip it. */
	open(gid: number, sequence: number, firstFrame: number): boolean {
		if (sequence <= this.#floor || firstFrame > 0 || this.#groups.some((group) => group.sequence === sequence))
			return false;
		const group = { gid, sequence, samples: [], isComplete: false, isStarted: false };
		const at = this.#groups.findIndex((other) => other.sequence > sequence);
		// In the middle of decoding a newer group an older one is of no use any more.
		if (at === 0 && this.#groups[0]?.isStarted) return false;
		this.#groups.splice(at < 0 ? this.#groups.length : at, 0, group);
		return true;
	}

	/** Adds samples to an open group; false when the group is not open (any more). */
	add(gid: number, samples: Sample[]): boolean {
		const group = this.#groups.find((open) => open.gid === gid);
		if (!group) return false;
		for (const sample of samples) {
			group.samples.push(sample);
			group.newestUs = Math.max(group.newestUs ?? Number.NEGATIVE_INFINITY, sample.timestampUs);
		}
		return true;
	}

	/** Nothing more of this group will come. */
	complete(gid: number): void {
		const at = this.#groups.findIndex((open) => open.gid === gid);
		const group = this.#groups[at];
		if (!group) return;
		group.isComplete = true;
		// Nothing of it is left to wait for its turn.
		if (at > 0 && group.samples.length === 0) this.#groups.splice(at, 1);
	}

	/**
	 * Gives up the oldest group when the newest picture is further ahead than the budget, when the publisher went back in time, or when
	 * there are too many groups.
	 */
	skip(): SkippedGroup | undefined {
		const [active, ...newer] = this.#groups;
		if (active && newer.length >= MAX_GROUPS) return this.#drop(active);
		const times = newer.flatMap((group) => group.newestUs ?? []);
		if (!active || times.length === 0) return undefined;
		const newestUs = Math.max(...times);
		const next = newer.find((group) => group.newestUs !== undefined);
		const positionUs = active.samples[0]?.timestampUs ?? active.takenUs ?? next?.samples[0]?.timestampUs ?? newestUs;
		const isBehind = newestUs - positionUs > this.#budgetUs;
		const isRewound = newestUs < positionUs && active.samples.length === 0;
		return isBehind || isRewound ? this.#drop(active) : undefined;
	}

	/** The next sample in decode order, if it is there. */
	take(): QueuedSample | undefined {
		for (let active = this.#groups[0]; active; active = this.#groups[0]) {
			const sample = active.samples.shift();
			if (sample) {
				const isFirst = !active.isStarted;
				active.isStarted = true;
				active.takenUs = sample.timestampUs;
				return { sample, sequence: active.sequence, isFirst };
			}
			if (!active.isComplete) return undefined;
			this.#drop(active);
		}
		return undefined;
	}

	#drop(group: Group): SkippedGroup {
		this.#groups.shift();
		this.#floor = group.sequence;
		return { gid: group.gid, samples: group.samples.length, isComplete: group.isComplete };
	}
}
