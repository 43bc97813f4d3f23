// What the relays are loaded with, and what is read out. Ratios are ours ÷ published.

/** Figures where more is better carry `atLeast`, those where less is better `atMost`: the ratio to reach. */
const delivery = [
	{ key: "framesPerSecond", name: "delivered frames/s", digits: 0, atLeast: 0.95 },
	{ key: "p50", name: "p50 latency ms", digits: 2 },
	{ key: "p99", name: "p99 latency ms", digits: 2, atMost: 1.25 },
];
const costs = [
	{ key: "relayShare", name: "relay's core busy", digits: 2 },
	{ key: "clientShare", name: "client's core busy", digits: 2 },
	{ key: "relayRss", name: "relay's RSS MB", digits: 0, unit: 1e6 },
];

export const scenarios = [
	{
		id: "L1",
		name: "fan-out",
		about: "One publisher, 30 payloads of 4167 bytes a second (1 Mbit/s) in groups of a second, to every viewer.",
		steady: true,
		points: [50, 150, 300].map((viewers) => ({
			name: `${viewers} viewers`,
			args: ["fan-out", "--viewers", viewers],
		})),
		figures: [...delivery, { key: "mbitPerCpuSecond", name: "Mbit per CPU-second", digits: 0, atLeast: 1 }, ...costs],
	},
	{
		id: "L3",
		name: "chat",
		about:
			"Rooms of twenty; everybody sends five messages of 100 bytes a second, one group each, and reads the other nineteen.",
		steady: true,
		points: [{ name: "100 sessions", args: ["chat", "--sessions", 100, "--room", 20] }],
		figures: [
			...delivery,
			{ key: "framesPerCpuSecond", name: "messages per CPU-second", digits: 0, atLeast: 1 / 1.15 },
			{ key: "relaySwitches", name: "context switches", digits: 0 },
			...costs,
		],
	},
	{
		id: "L4",
		name: "announce storm",
		about:
			"Fifty publishers make two hundred broadcasts each at once, to fifty listeners; then a tenth of all goes and comes again, " +
			"four times. Times are until every listener knows exactly what there is.",
		points: [{ name: "10 000 to 50", args: ["announce", "--publishers", 50, "--broadcasts", 200, "--listeners", 50] }],
		figures: [
			{ key: "appearMs", name: "all agree after ms", digits: 1, atMost: 1.1 },
			{ key: "flap.p50", name: "agree after a flap, p50 ms", digits: 1, atMost: 1.1 },
			{ key: "flap.p99", name: "agree after a flap, worst ms", digits: 1 },
			{ key: "eventsPerCpuSecond", name: "announcements per CPU-second", digits: 0, atLeast: 1 },
			{ key: "appearBytes", name: "MB to the listeners", digits: 2, unit: 1e6 },
			{ key: "relayRss", name: "relay's RSS MB", digits: 0, unit: 1e6, atMost: 1.2 },
			{ key: "clientShare", name: "client's core busy", digits: 2 },
		],
	},
	{
		id: "L5",
		name: "fetch storm",
		about:
			"Fifty clients fetch the same thousand groups of two payloads of 1000 bytes, eight at a time: first from the relay's cache, " +
			"then such as only the publisher has, then both mixed. `upstream` is what the publisher is asked for.",
		points: [{ name: "50 clients", args: ["fetch", "--clients", 50, "--groups", 1000] }],
		figures: ["hot", "cold", "mixed"].flatMap((phase) => [
			{
				key: `${phase}.groupsPerSecond`,
				name: `${phase}: groups/s`,
				digits: 0,
				...(phase === "hot" && { atLeast: 0.95 }),
			},
			{ key: `${phase}.groupsPerCpuSecond`, name: `${phase}: groups per CPU-second`, digits: 0 },
			{ key: `${phase}.p99`, name: `${phase}: p99 ms`, digits: 1 },
			{
				key: `${phase}.upstream`,
				name: `${phase}: upstream fetches`,
				digits: 0,
				exactly: phase === "cold" ? 1000 : 0,
			},
			{ key: `${phase}.clientShare`, name: `${phase}: client's core busy`, digits: 2 },
		]),
	},
];
