// One message in a pane.
import { h, copy, link } from "./dom.js";
import { mrkdwn, emojiNode, ago } from "./mrkdwn.js";
import { drawBlocks } from "./blocks.js";
import { store, user, isReply, post } from "./store.js";

export const timeOf = (ts) => new Date(parseFloat(ts) * 1000);

// avatar is a coloured square with initials, or the robot of an app.
export function avatar(u, small) {
  const words = (u.real_name || u.name || "?").replace(/[^\p{L}\p{N} ]/gu, "").split(/\s+/).filter(Boolean);
  const initials = words.slice(0, 2).map((w) => w[0].toUpperCase()).join("") || "?";
  let n = 7;
  for (const c of u.id) n = (n * 31 + c.charCodeAt(0)) % 997;
  return h("span", { class: `avatar tone-${n % 8}${small ? " small" : ""}${u.bot ? " bot" : ""}`, "aria-hidden": "true" }, initials);
}

// drawMessage makes the list item of a message. pane is "channel" or "thread".
export function drawMessage(m, pane, go) {
  const u = user(m.user);
  const name = m.username || u.real_name || u.name;
  const when = timeOf(m.ts);
  const clock = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const stamp = h("time", { class: "stamp", datetime: when.toISOString(), title: when.toLocaleString() }, clock);
  const ctx = {
    fileURL: (f) => `/page/files/${encodeURIComponent(f.id)}/${encodeURIComponent(f.name)}?as=${encodeURIComponent(store.me)}`,
    act: async (block, e, choice) => {
      li.querySelectorAll("[data-notice]").forEach((n) => n.remove());
      const res = await post("click", { channel: m.channel, ts: m.ts, block_id: block.block_id, action_id: e.action_id, choice, confirmed: true });
      if (!res.ok && !res.code) go.notice({ code: "error", text: res.error, channel: m.channel, ts: m.ts });
    },
  };
  const blocks = m.blocks?.length ? drawBlocks(m.blocks, ctx) : [];
  const body = h("div", { class: "body" },
    m.ephemeral && h("div", { class: "only-you" }, h("span", { "aria-hidden": "true" }, "👁 "), "Only visible to you"),
    pane === "channel" && isReply(m) && h("div", { class: "replied" }, "replied to ", h("button", { type: "button", class: "linkish", click: () => go.thread(m.channel, m.thread_ts) }, "a thread")),
    h("div", { class: "who" },
      h("span", { class: "name" }, name),
      u.bot && h("span", { class: "badge" }, "APP"),
      u.guest && h("span", { class: "badge soft" }, "Guest"),
      u.stranger && h("span", { class: "badge soft" }, "Slack Connect"),
      stamp),
    m.subtype === "tombstone" ? h("div", { class: "text gone" }, m.text)
      : blocks.length ? h("div", { class: "blocks" }, blocks, m.edited && edited(m))
      : m.text && h("div", { class: "text" }, mrkdwn(m.text), m.edited && edited(m)),
    attachments(m, ctx),
    m.files?.length ? h("div", { class: "files" }, m.files.map((f) => file(f, ctx))) : null,
    m.reactions?.length ? h("div", { class: "reactions" }, m.reactions.map((r) => h("span", { class: "reaction", title: r.users.map((id) => user(id).real_name).join(", ") }, emojiNode(r.name), " ", r.count))) : null,
    pane === "channel" && m.reply_count ? threadLink(m, go) : null,
    h("div", { class: "notices" }));
  const tools = h("div", { class: "tools" },
    pane === "channel" && !m.ephemeral && h("button", { type: "button", title: "Reply in thread", "aria-label": "Reply in thread", "data-reply": true, click: () => go.thread(m.channel, isReply(m) ? m.thread_ts : m.ts, true) }, "💬"),
    !m.ephemeral && h("button", { type: "button", title: "Copy link", "aria-label": "Copy a link to this message", click: (e) => copy(location.origin + "/archives/" + m.channel + "/p" + m.ts.replace(".", ""), e.currentTarget) }, "🔗"));
  const li = h("li", {
    class: "message" + (m.ephemeral ? " ephemeral" : ""), "data-ts": m.ts, "data-user": m.user, "data-in": m.channel,
    "data-ephemeral": m.ephemeral ? "true" : null, "data-thread": m.thread_ts || null, tabindex: "-1",
    role: "article", "aria-label": name + ", " + clock + (m.ephemeral ? ", only visible to you" : ""),
  }, h("div", { class: "gutter" }, avatar(u), h("span", { class: "side-stamp", "aria-hidden": "true" }, clock)), body, tools);
  return li;
}

const edited = (m) => h("span", { class: "edited", title: "Edited " + timeOf(m.edited.ts).toLocaleString() }, " (edited)");

function threadLink(m, go) {
  const faces = (m.reply_users || []).slice(0, 4).map((id) => avatar(user(id), true));
  return h("button", { type: "button", class: "thread-link", "data-thread-link": m.ts, click: () => go.thread(m.channel, m.ts, true) },
    h("span", { class: "faces" }, faces),
    h("strong", {}, m.reply_count + (m.reply_count === 1 ? " reply" : " replies")),
    h("span", { class: "last" }, "Last reply " + ago(parseFloat(m.latest_reply))));
}

function attachments(m, ctx) {
  return (m.attachments || []).map((a) => {
    const el = h("div", { class: "attachment" },
      a.pretext && h("div", {}, mrkdwn(a.pretext)),
      a.title && h("div", { class: "attachment-title" }, a.title_link ? link(a.title_link, a.title) : a.title),
      a.text && h("div", { class: "text" }, mrkdwn(a.text)),
      a.blocks && h("div", { class: "blocks" }, drawBlocks(a.blocks, ctx)),
      a.footer && h("div", { class: "b-context" }, a.footer));
    const named = { good: "#2eb67d", warning: "#ecb22e", danger: "#e01e5a" };
    const colour = named[a.color] || (/^#?[0-9a-f]{6}$/i.test(a.color || "") ? "#" + a.color.replace("#", "") : "");
    if (colour) el.style.borderLeftColor = colour;
    return el;
  });
}

const size = (n) => (n < 1024 ? n + " B" : n < 1 << 20 ? (n / 1024).toFixed(1) + " KB" : (n / (1 << 20)).toFixed(1) + " MB");
const previewLines = 14;

function file(f, ctx) {
  const url = ctx.fileURL(f);
  const el = h("figure", { class: "file", "data-file": f.id },
    h("figcaption", {}, h("span", { class: "file-icon", "aria-hidden": "true" }, f.mimetype?.startsWith("image/") ? "🖼" : "📄"),
      h("span", { class: "file-name" }, f.title || f.name), h("span", { class: "file-size" }, size(f.size)),
      h("a", { class: "file-get", href: url + "&download=1", download: f.name }, "Download")));
  if (f.mimetype?.startsWith("image/")) el.append(h("img", { class: "block-image", src: url, alt: f.alt_txt || f.title || f.name, loading: "lazy" }));
  else if (f.mimetype === "text/plain") el.append(textPreview(url));
  return el;
}

function textPreview(url) {
  const code = h("code", {}, "…");
  const pre = h("pre", { class: "code preview", tabindex: "0" }, code);
  const box = h("div", {}, pre);
  fetch(url).then((r) => (r.ok ? r.text() : Promise.reject(new Error(r.statusText)))).then((text) => {
    const all = text.split("\n");
    const short = all.slice(0, previewLines).join("\n").slice(0, 4000);
    code.textContent = short;
    queueMicrotask(() => box.dispatchEvent(new Event("grown", { bubbles: true })));
    if (short.length >= text.trimEnd().length) return;
    const more = h("button", { type: "button", class: "linkish", "aria-expanded": "false", click: () => {
      const open = more.getAttribute("aria-expanded") !== "true";
      more.setAttribute("aria-expanded", String(open));
      code.textContent = open ? text.slice(0, 500000) : short;
      more.textContent = open ? "Show less" : label;
    } });
    const label = `Show all ${all.length} lines`;
    more.textContent = label;
    box.append(more);
  }).catch(() => { code.textContent = "(could not be loaded)"; });
  return box;
}

// drawNotice is what Slack itself tells a person.
export function drawNotice(n) {
  const el = h("div", { class: "notice", role: "alert", "data-notice": n.code },
    h("span", { "aria-hidden": "true" }, "⚠️"),
    h("div", {}, h("div", {}, n.text || n.code), h("small", {}, (n.code === "error" ? "" : n.code + " · ") + "Only visible to you")),
    h("button", { type: "button", class: "icon", "aria-label": "Dismiss", click: () => el.remove() }, "✕"));
  return el;
}
