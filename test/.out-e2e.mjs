import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { startOurRelay } from "./support/relay.mjs";
import { launch } from "./support/browser.mjs";
const relay = await startOurRelay({ program: "/tmp/w/relay-bin" });
console.log(relay.url);
const types = { js: "text/javascript", wasm: "application/wasm", html: "text/html" };
const server = createServer((req, res) => {
  const path = req.url.split("?")[0];
  if (path === "/") return res.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><body>");
  try { const b = readFileSync(new URL("../dist" + path, import.meta.url)); res.writeHead(200, { "content-type": types[path.split(".").pop()] ?? "application/octet-stream" }).end(b); } catch { res.writeHead(404).end(); }
}).listen(0);
const url = `http://localhost:${server.address().port}/`;
const chrome = await launch();
const page = await chrome.open(url);
page.on("console", (m) => console.log("console", m.text()));
const scenario = process.argv[2] ?? "basic";
const out = await page.evaluate(async ([relay, scenario]) => {
  const { connect } = await import("/index.js");
  const t = (e) => ({ kind: e?.kind, message: e?.message, name: e?.name });
  const log = [];
  const step = (x) => log.push([Math.round(performance.now()), x]);
  try {
    for (const transport of ["webtransport", "websocket", "auto"]) {
      const a = await connect(relay + "/demo", { transport });
      step([transport, a.version, a.transport]);
      const b = await connect(relay + "/demo", { transport });
      const broadcast = b.createBroadcast("room/bob" + transport);
      const chat = broadcast.createTrack("chat");
      const found = await a.waitForBroadcast("room/bob" + transport);
      step("found");
      const sub = await found.track("chat").subscribe();
      step("subscribed");
      chat.writeFrame("hello");
      outer: for await (const group of sub) for await (const frame of group) { step(frame.text()); break outer; }
      a.close(); b.close();
      step("closed");
    }
    for (const [name, url, options] of [["nobody", "http://127.0.0.1:9/x", {}], ["nobody-ws", "http://127.0.0.1:9/x", {transport: "websocket"}], ["hash", relay.replace("http", "https"), { transport: "webtransport", serverCertificateHashes: ["00".repeat(32)] }], ["version", relay, {versions: ["moq-lite-07-wip"]}]]) {
      try { const c = await connect(url, options); step([name, "connected", c.version]); c.close(); } catch (e) { step([name, t(e)]); }
    }
  } catch (e) { step(["failed", t(e), e?.stack]); }
  return log;
}, [relay.url, scenario]);
for (const l of out) console.log(JSON.stringify(l));
console.log("complaints", chrome.complaints);
await chrome.close(); server.close(); await relay.stop();
console.log(relay.log?.() ?? "");
