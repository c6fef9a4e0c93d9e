// The page: follows the server's stream and draws the panes.
import { h } from "./dom.js";
import { names, ago } from "./mrkdwn.js";
import { store, load, put, byTS, inChannel, inThread, isReply, user, channelTitle, markRead, remember, unread, post } from "./store.js";
import { drawMessage, drawNotice, avatar, timeOf } from "./message.js";
import { makeComposer } from "./composer.js";
import { makeDrawer } from "./faults.js";

const $ = (id) => document.getElementById(id);
const panes = {
  channel: { list: $("messages"), el: document.querySelector("[data-pane=channel]"), shows: (m) => m.channel === store.channel && inChannel(m) && !(m.ephemeral && isReply(m)) },
  thread: { list: $("thread-messages"), el: document.querySelector("[data-pane=thread]"), shows: (m) => store.thread && m.channel === store.channel && inThread(m, store.thread) },
};
const composers = {
  channel: makeComposer($("form-channel"), "channel", () => ({ channel: store.channel }), (e) => notice({ code: "error", text: e, channel: store.channel })),
  thread: makeComposer($("form-thread"), "thread", () => ({ channel: store.channel, thread_ts: store.thread }), (e) => notice({ code: "error", text: e, channel: store.channel, ts: store.thread })),
};
const drawer = makeDrawer($("drawer"), () => toggleDrawer(false));
const go = { thread: (channel, ts, focus) => show(channel, ts, "", focus), notice };

names.user = (id) => user(id).real_name || id;
names.channel = (id) => store.channels.get(id)?.name;
names.group = (id) => store.groups.get(id)?.handle;
names.me = () => store.me;
names.openChannel = (id) => store.channels.has(id) && show(id);
names.openUser = (id) => openDM(id);

// --- who acts, and the stream ---

let stream = null;

function actAs(id) {
  store.me = id;
  try {
    sessionStorage.setItem("as", id);
    localStorage.setItem("as", id);
  } catch { /* no storage: the choice lasts until the page is closed */ }
  stream?.close();
  document.body.dataset.connected = "false";
  stream = new EventSource("/page/stream?as=" + encodeURIComponent(id));
  stream.onmessage = (e) => receive(JSON.parse(e.data));
  stream.onerror = () => {
    document.body.dataset.connected = "false";
    $("status").textContent = "Reconnecting…";
  };
}

function receive(c) {
  switch (c.kind) {
    case "state": {
      load(c);
      $("team").textContent = store.team;
      drawPeople();
      drawer.faults();
      drawer.allCalls();
      document.body.dataset.connected = "true";
      $("status").textContent = "Connected";
      fromHash();
      break;
    }
    case "message":
      put(c.message);
      place(c.message);
      drawSidebar();
      break;
    case "removed":
      store.messages.get(c.channel)?.delete(c.ts);
      for (const pane of Object.values(panes)) {
        pane.list.querySelector(`:scope > [data-ts="${CSS.escape(c.ts)}"]`)?.remove();
        arrange(pane);
      }
      drawSidebar();
      break;
    case "conversation":
      store.channels.set(c.conversation.id, c.conversation);
      drawSidebar();
      break;
    case "notice":
      notice(c.notice);
      break;
    case "faults":
      store.faults = c.faults;
      drawer.faults();
      break;
    case "call":
      store.calls.push(c.call);
      drawer.call(c.call);
      break;
  }
}

// --- sidebar ---

function drawPeople() {
  const people = [...store.users.values()].filter((u) => !u.bot);
  $("acting-as").replaceChildren(...people.map((u) => h("option", { value: u.id, disabled: u.deleted, selected: u.id === store.me }, u.real_name + (u.deleted ? " (deactivated)" : ""))));
  const alone = people.filter((u) => !u.deleted).length === 1;
  $("acting-as").disabled = alone;
  document.querySelector("label[for=acting-as]").textContent = alone ? "You are" : "Acting as";
  $("acting-title").textContent = user(store.me).title || "";
}

function drawSidebar() {
  const entry = (c) => {
    const here = c.id === store.channel;
    const n = here ? { count: 0 } : unread(c.id);
    const other = c.im ? user(c.members.find((m) => m !== store.me) || store.me) : null;
    return h("li", {}, h("a", { href: "#" + c.id, "data-channel": c.id, class: (n.count ? "unread " : "") + (here ? "here" : ""), "aria-current": here ? "page" : null },
      other ? avatar(other, true) : h("span", { class: "hash", "aria-hidden": "true" }, c.private ? "🔒" : "#"),
      h("span", { class: "entry-name" }, channelTitle(c)),
      n.count > 0 && h("span", { class: "count" + (n.mention ? " urgent" : ""), "aria-label": n.count + " unread" }, n.count)));
  };
  const held = $("sidebar").contains(document.activeElement) ? document.activeElement.dataset.channel : null;
  const all = [...store.channels.values()];
  $("channels").replaceChildren(...all.filter((c) => !c.im).map(entry));
  const dms = all.filter((c) => c.im);
  const apps = store.apps.filter((a) => !dms.some((c) => c.members.includes(a.user)));
  $("dms").replaceChildren(...dms.map(entry), ...apps.map((a) => h("li", {}, h("button", { type: "button", class: "entry", "data-open-dm": a.user, click: () => openDM(a.user) }, avatar(user(a.user), true), h("span", { class: "entry-name" }, user(a.user).real_name)))));
  if (held) $("sidebar").querySelector(`[data-channel="${CSS.escape(held)}"]`)?.focus();
  const total = all.reduce((sum, c) => sum + (c.id === store.channel ? 0 : unread(c.id).count), 0);
  document.title = (total ? `(${total}) ` : "") + channelTitle(store.channels.get(store.channel)) + " – " + store.team;
}

async function openDM(id) {
  if (id === store.me) return;
  const res = await post("dm", { user: id });
  if (res.ok) show(res.channel);
}

// --- panes ---

// show goes to a channel, and to a thread in it when one is named.
function show(channel, thread, ts, focus) {
  focusNext = focus ? (thread ? "thread" : "channel") : "";
  const hash = "#" + [channel, thread, ts].filter(Boolean).join("/");
  if (location.hash === hash) fromHash();
  else location.hash = hash;
}

let focusNext = "";

function fromHash() {
  const [channel, thread, ts] = decodeURIComponent(location.hash.slice(1)).split("/");
  const id = store.channels.has(channel) ? channel : store.channels.keys().next().value;
  const moved = id !== store.channel;
  const movedThread = moved || (thread || "") !== store.thread;
  store.channel = id;
  store.thread = id === channel && store.messages.get(id)?.has(thread) ? thread : "";
  const c = store.channels.get(id);
  if (!c) return;
  $("channel-title").textContent = (c.im ? "" : "# ") + channelTitle(c);
  $("channel-topic").textContent = c.topic || "";
  $("channel-members").textContent = c.im ? "" : c.members.length + " members";
  composers.channel.placeholder("Message " + (c.im ? "" : "#") + channelTitle(c));
  composers.thread.placeholder("Reply…");
  $("thread-in").textContent = (c.im ? "" : "#") + channelTitle(c);
  if (moved) composers.channel.clear();
  if (movedThread) composers.thread.clear();
  panes.thread.el.hidden = !store.thread;
  document.body.classList.toggle("has-thread", !!store.thread);
  document.body.classList.remove("sidebar-open");
  drawPane(panes.channel, moved);
  drawPane(panes.thread, movedThread);
  markRead(id);
  drawSidebar();
  const target = ts || (thread && !store.thread ? thread : "");
  if (target) flash(target);
  if (focusNext) composers[focusNext].box.focus();
  focusNext = "";
}

function flash(ts) {
  const li = document.querySelector(`.message[data-ts="${CSS.escape(ts)}"]`);
  if (!li) return;
  li.scrollIntoView({ block: "center" });
  li.classList.add("flash");
  setTimeout(() => li.classList.remove("flash"), 2500);
}

function drawPane(pane, toEnd) {
  const name = pane === panes.thread ? "thread" : "channel";
  const end = toEnd || pane.stick;
  const shown = byTS(store.channel).filter(pane.shows);
  pane.list.setAttribute("aria-live", "off"); // a whole pane is not news
  pane.list.replaceChildren(...shown.map((m) => drawMessage(m, name, go)));
  arrange(pane);
  if (end) scrollToEnd(pane);
  if (name === "thread" && store.thread) toUnread(pane, toEnd);
  requestAnimationFrame(() => pane.list.setAttribute("aria-live", "polite"));
}

// toUnread opens a thread where its reader stopped: at the start the first time.
function toUnread(pane, opened) {
  const seen = store.read["thread " + store.thread] || "";
  const replies = [...pane.list.querySelectorAll(":scope > .message")];
  if (opened) {
    const next = replies.find((li) => li.dataset.ts > seen);
    if (!seen) pane.list.scrollTop = 0;
    else if (next) next.scrollIntoView({ block: "center" });
    pane.stick = atEnd(pane);
  }
  remember("thread " + store.thread, replies.at(-1)?.dataset.ts);
}

const atEnd = (pane) => pane.list.scrollHeight - pane.list.scrollTop - pane.list.clientHeight < 80;
const scrollToEnd = (pane) => { pane.list.scrollTop = pane.list.scrollHeight; pane.stick = true; };

// place puts one new or changed message where it belongs.
function place(m) {
  for (const [name, pane] of Object.entries(panes)) {
    if (!pane.shows(m)) continue;
    const end = pane.stick;
    const old = pane.list.querySelector(`:scope > [data-ts="${CSS.escape(m.ts)}"]`);
    const li = drawMessage(m, name, go);
    if (old) {
      const active = old.contains(document.activeElement) ? document.activeElement.dataset.actionId : null;
      li.querySelector(".notices").append(...old.querySelectorAll(".notices > *"));
      old.replaceWith(li);
      if (active) li.querySelector(`[data-action-id="${CSS.escape(active)}"]`)?.focus();
    } else {
      const after = [...pane.list.querySelectorAll(":scope > .message")].find((x) => x.dataset.ts > m.ts);
      pane.list.insertBefore(li, after || null);
    }
    arrange(pane);
    if (end || m.user === store.me) scrollToEnd(pane);
    else if (name === "channel" && !old) $("jump").hidden = false;
  }
  if (m.channel === store.channel && document.visibilityState === "visible") markRead(m.channel);
}

// arrange sets day lines, joins what one person said in a row, and counts replies.
function arrange(pane) {
  pane.list.querySelectorAll(":scope > .day, :scope > .count-line, :scope > .empty").forEach((el) => el.remove());
  let last = null, day = "";
  for (const li of pane.list.querySelectorAll(":scope > .message")) {
    const when = timeOf(li.dataset.ts);
    const d = when.toDateString();
    if (pane === panes.channel && d !== day) {
      const today = new Date().toDateString();
      const label = d === today ? "Today" : d === new Date(Date.now() - 864e5).toDateString() ? "Yesterday" : when.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
      li.before(h("li", { class: "day", role: "separator" }, h("span", {}, label)));
      last = null;
    }
    day = d;
    const joined = last && last.dataset.user === li.dataset.user && parseFloat(li.dataset.ts) - parseFloat(last.dataset.ts) < 300
      && !last.querySelector(".thread-link") && !li.dataset.ephemeral && !last.dataset.ephemeral && !li.querySelector(".replied, .blocks > .b-header");
    li.classList.toggle("joined", !!joined);
    if (pane === panes.thread && li.dataset.ts === store.thread) {
      const n = pane.list.querySelectorAll(":scope > .message:not([data-ephemeral])").length - 1;
      li.after(h("li", { class: "count-line", role: "separator" }, h("span", {}, n === 0 ? "No replies yet" : n + (n === 1 ? " reply" : " replies"))));
      last = null;
    } else {
      last = li;
    }
  }
  if (pane === panes.channel && !pane.list.querySelector(".message")) {
    pane.list.append(h("li", { class: "empty", role: "note" }, h("p", {}, "Nothing has been said here yet."), store.commands.length > 0 && h("p", {}, "Type ", h("code", { class: "inline" }, store.commands[0].name + " help"), " to see what the bot can do.")));
  }
}

// notice shows what Slack itself says, under the message it is about or at the end.
function notice(n) {
  if (n.channel && n.channel !== store.channel) return;
  const onMessage = n.ts && n.code !== "not_supported_in_threads" && n.code !== "error";
  let shown = false;
  for (const pane of Object.values(panes)) {
    const li = onMessage && pane.list.querySelector(`:scope > [data-ts="${CSS.escape(n.ts)}"]`);
    if (!li) continue;
    const el = drawNotice(n);
    li.querySelector(".notices").append(el);
    el.scrollIntoView({ block: "nearest" });
    shown = true;
  }
  const pane = n.ts && n.ts === store.thread ? panes.thread : panes.channel;
  if (!shown) pane.el.querySelector(".composer").before(drawNotice(n));
}

// --- the rest ---

function toggleDrawer(open) {
  $("drawer").hidden = !open;
  document.body.classList.toggle("has-drawer", open);
  document.querySelector("[data-open-drawer]").setAttribute("aria-expanded", String(open));
  if (open) $("drawer").querySelector("select")?.focus();
}

$("acting-as").addEventListener("change", (e) => { closeNotices(); actAs(e.target.value); });
$("close-thread").addEventListener("click", () => show(store.channel, "", "", true));
$("open-sidebar").addEventListener("click", () => {
  document.body.classList.toggle("sidebar-open");
  $("sidebar").querySelector("a, select")?.focus();
});
document.addEventListener("pointerdown", (e) => {
  if (!$("sidebar").contains(e.target) && !$("open-sidebar").contains(e.target)) document.body.classList.remove("sidebar-open");
});
$("jump").addEventListener("click", () => scrollToEnd(panes.channel));
for (const pane of Object.values(panes)) {
  // Who is at the end stays there when something grows or the window changes.
  const keep = () => { if (pane.stick) scrollToEnd(pane); };
  pane.list.addEventListener("scroll", () => {
    pane.stick = atEnd(pane);
    if (pane.stick && pane === panes.channel) $("jump").hidden = true;
  });
  pane.list.addEventListener("grown", keep);
  pane.list.addEventListener("load", keep, true);
  new ResizeObserver(keep).observe(pane.list);
  pane.list.addEventListener("keydown", (e) => walk(pane, e));
}
document.querySelector("[data-open-drawer]").addEventListener("click", () => toggleDrawer($("drawer").hidden));
window.addEventListener("hashchange", () => { closeNotices(); fromHash(); });
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible" && store.channel) { markRead(store.channel); drawSidebar(); } });
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape" || e.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (document.body.classList.contains("sidebar-open")) document.body.classList.remove("sidebar-open");
  else if (!$("drawer").hidden) toggleDrawer(false);
  else if (store.thread) show(store.channel, "", "", true);
});
setInterval(() => { // "2 minutes ago" moves on
  for (const el of document.querySelectorAll(".thread-link")) {
    const m = store.messages.get(store.channel)?.get(el.dataset.threadLink);
    if (m) el.querySelector(".last").textContent = "Last reply " + ago(parseFloat(m.latest_reply));
  }
}, 30000);

// walk moves between messages with the arrow keys; Enter opens the thread.
function walk(pane, e) {
  const here = document.activeElement;
  if (here !== pane.list && here.parentElement !== pane.list) return;
  const all = [...pane.list.querySelectorAll(":scope > .message")];
  const at = all.indexOf(here);
  if (e.key === "ArrowUp" || e.key === "ArrowDown") {
    e.preventDefault();
    const next = at < 0 ? all.at(-1) : all[at + (e.key === "ArrowUp" ? -1 : 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  } else if (e.key === "Enter" && at >= 0 && pane === panes.channel && !here.dataset.ephemeral) {
    e.preventDefault();
    show(store.channel, here.dataset.thread || here.dataset.ts, "", true);
  }
}

function closeNotices() {
  document.querySelectorAll(".pane > .notice").forEach((n) => n.remove());
}

// The secret has done its work: the cookie stands for it from now on.
const asked = new URLSearchParams(location.search);
history.replaceState(null, "", location.pathname + location.hash);
let as = asked.get("as");
try {
  as = as || sessionStorage.getItem("as") || localStorage.getItem("as");
} catch { /* no storage */ }
fetch("/page/people").then((r) => r.json()).then((people) => {
  actAs(people.includes(as) ? as : people[0]);
}).catch(() => { $("status").textContent = "The workspace does not answer."; });
