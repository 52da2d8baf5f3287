// The call as it goes, read from the public API with the view token: stages, timeline, outcome.

import { say, knows } from "./texts.js";

const timeline = document.getElementById("timeline");
const list = document.getElementById("events");
const none = document.getElementById("timeline-none");
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

let watched = "";
let ending = new AbortController();
let began = 0;
let calls = 0;

/** What the page is told. `stage` when the call moves on, `outcome` when it is decided, `lost` about the connection. */
let told = { stage() {}, outcome() {}, lost() {} };

/** Watches the verification that the page names, unless it is watched already. */
export function watch(tell = told) {
  told = tell;
  const { verification = "", token = "" } = timeline.dataset;
  if (verification === watched) return;
  watched = verification;
  ending.abort();
  ending = new AbortController();
  began = calls = 0;
  list.replaceChildren();
  list.hidden = true;
  none.hidden = false;
  if (verification && token) follow(verification, token, ending.signal);
}

async function follow(id, token, signal) {
  const path = `/v1/verifications/${encodeURIComponent(id)}`;
  const headers = { authorization: `Bearer ${token}` };
  let last = "";
  let over = false;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted && !over) {
    try {
      const resume = last ? { "last-event-id": last } : {};
      const answer = await fetch(`${path}/events`, { headers: { ...headers, ...resume, accept: "text/event-stream" }, signal });
      if ([401, 403, 404].includes(answer.status)) break;
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      told.lost(false);
      for await (const event of frames(answer.body)) {
        if (!event.data) continue;
        wait = FIRST_WAIT_MS;
        last = event.id || last;
        over = take(JSON.parse(event.data));
      }
      // The stream has ended in order: what is decided stays decided, whatever was missed.
      const seen = await fetch(path, { headers, signal }).then((answer) => answer.json());
      if (seen.status !== "pending") {
        told.outcome(seen.status);
        over = !seen.calls.some((call) => call.stage !== "ended");
      }
    } catch {
      if (!signal.aborted) told.lost(true);
    }
    if (!over && !signal.aborted) await new Promise((go) => setTimeout(go, wait));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** The frames of an event stream (HTML Standard, section "Server-sent events"). */
async function* frames(body) {
  let text = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk.replaceAll("\r\n", "\n");
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const frame = { id: "", data: "" };
      for (const line of text.slice(0, end).split("\n")) {
        const at = line.indexOf(":");
        const [name, value] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
        if (name === "id") frame.id = value;
        if (name === "data") frame.data += frame.data ? `\n${value}` : value;
      }
      text = text.slice(end + 2);
      yield frame;
    }
  }
}

/** Takes note of an event; true when nothing more can come. */
function take(event) {
  if (!event.type) return false;
  write(event);
  if (event.status === "pending") told.stage(event.stage);
  else told.outcome(event.status);
  return event.status !== "pending" && event.stage === "ended";
}

function write(event) {
  const at = Date.parse(event.at);
  began ||= at;
  const type = event.type.replace(".", "-");
  const detailed = `event-${type}-${event.detail}`;
  let text = say(event.detail && knows(detailed) ? detailed : `event-${type}`) || event.type;
  if (event.type === "call.queued" && ++calls > 1) text = `${say("timeline-call", { number: calls })}: ${text}`;
  const row = document.createElement("li");
  row.className = event.type.split(".")[1];
  row.dataset.type = event.type;
  if (event.detail) row.dataset.detail = event.detail;
  const time = document.createElement("time");
  time.dateTime = event.at;
  time.textContent = say("seconds", { seconds: Math.max(0, (at - began) / 1000).toFixed(1) });
  const mark = document.createElement("span");
  mark.className = "mark";
  const words = document.createElement("span");
  words.textContent = text;
  row.append(time, mark, words);
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(row);
  list.hidden = false;
  none.hidden = true;
  if (atEnd) list.scrollTop = list.scrollHeight;
}
