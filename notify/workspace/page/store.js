// What the page knows, kept up to date by the server's stream.

export const store = {
  me: "", team: "", users: new Map(), groups: new Map(), channels: new Map(), messages: new Map(), // channel -> ts -> message
  commands: [], apps: [], faults: null, calls: [], read: {}, notices: [],
  channel: "", thread: "", focusTS: "",
};

// byTS lists a channel's messages from the oldest.
export function byTS(channel) {
  return [...(store.messages.get(channel)?.values() || [])].sort((a, b) => (a.ts < b.ts ? -1 : 1));
}

export const isReply = (m) => !!m.thread_ts && m.thread_ts !== m.ts;
export const inChannel = (m) => !isReply(m) || m.subtype === "thread_broadcast";
export const inThread = (m, root) => m.ts === root || m.thread_ts === root;

export function user(id) {
  return store.users.get(id) || { id, name: id, real_name: id };
}

export function channelTitle(c) {
  if (!c) return "";
  if (!c.im) return c.name;
  const other = c.members.find((m) => m !== store.me) || store.me;
  return user(other).real_name;
}

export function load(state) {
  store.me = state.me;
  store.team = state.team;
  store.users = new Map(state.users.map((u) => [u.id, u]));
  store.groups = new Map((state.usergroups || []).map((g) => [g.id, g]));
  store.channels = new Map(state.conversations.map((c) => [c.id, c]));
  store.messages = new Map();
  for (const m of state.messages) put(m);
  store.commands = state.commands;
  store.apps = state.apps;
  store.faults = state.faults;
  store.calls = state.calls || [];
  store.notices = [];
  try {
    store.read = JSON.parse(localStorage.getItem("read " + store.me)) || {};
  } catch {
    store.read = {};
  }
}

export function put(m) {
  if (!store.messages.has(m.channel)) store.messages.set(m.channel, new Map());
  store.messages.get(m.channel).set(m.ts, m);
}

export function markRead(channel) {
  remember(channel, byTS(channel).filter(inChannel).at(-1)?.ts);
}

// remember keeps up to where a channel or thread has been read, in this browser.
export function remember(what, ts) {
  if (!ts || (store.read[what] || "") >= ts) return;
  store.read[what] = ts;
  try {
    localStorage.setItem("read " + store.me, JSON.stringify(store.read));
  } catch { /* private windows may have no storage */ }
}

// unread counts what came since the channel was last looked at, and whether any of
// it names me or everyone.
export function unread(channel) {
  const since = store.read[channel] || "";
  let count = 0, mention = false;
  for (const m of store.messages.get(channel)?.values() || []) {
    if (m.ts <= since || m.user === store.me || !inChannel(m)) continue;
    count++;
    const raw = (m.text || "") + JSON.stringify(m.blocks || "");
    if (raw.includes(store.me) || /<!(channel|here|everyone)>|"broadcast"/.test(raw) || store.channels.get(channel)?.im) mention = true;
  }
  return { count, mention };
}

// post sends JSON to the page's API and returns its answer.
export async function post(path, body) {
  try {
    const res = await fetch("/page/api/" + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ as: store.me, ...body }) });
    if (!res.headers.get("Content-Type")?.startsWith("application/json")) return { ok: false, error: (await res.text()).trim() };
    return await res.json();
  } catch {
    return { ok: false, error: "The workspace does not answer. Is it still running?" };
  }
}
