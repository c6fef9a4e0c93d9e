// Slack's mrkdwn and the inline elements of rich text, as DOM nodes.
import { h, link } from "./dom.js";
import { emoji } from "./emoji.js";

// names is what mentions need: functions from ids to names, set by the page.
export const names = {
  user: (id) => id, channel: (id) => id, group: (id) => id, me: () => "",
  openChannel: () => {}, openUser: () => {},
};

const unescape = (s) => s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

export function userMention(id) {
  return h("button", { type: "button", class: "mention" + (id === names.me() ? " me" : ""), "data-mention": id, click: () => names.openUser(id) }, "@" + names.user(id));
}

export function channelMention(id, label) {
  return h("button", { type: "button", class: "mention", "data-mention": id, click: () => names.openChannel(id) }, "#" + (names.channel(id) || label || id));
}

export function broadcast(range) {
  return h("span", { class: "mention everyone", "data-broadcast": range, title: "This notifies everyone in the channel" }, "@" + range);
}

export function groupMention(id, label) {
  return h("span", { class: "mention" }, "@" + (names.group(id) || label || id).replace(/^@/, ""));
}

export function emojiNode(name, unicode) {
  const char = unicode ? fromCodepoints(unicode) : emoji(name);
  return char ? h("span", { class: "emoji", role: "img", "aria-label": name.replace(/_/g, " "), title: ":" + name + ":" }, char) : ":" + name + ":";
}

function fromCodepoints(text) {
  try {
    return String.fromCodePoint(...text.split("-").map((p) => parseInt(p, 16)));
  } catch {
    return null;
  }
}

// date writes a timestamp in the format of Slack's date tokens.
export function date(seconds, format, fallback) {
  const d = new Date(seconds * 1000);
  if (!Number.isFinite(d.getTime())) return fallback || "";
  const long = d.toLocaleDateString([], { year: "numeric", month: "long", day: "numeric" });
  const short = d.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" });
  const said = (format || "{date} {time}")
    .replace("{date_num}", d.toISOString().slice(0, 10))
    .replace(/\{date(_long|_short)?(_pretty)?\}/g, (_, size, pretty) => (pretty && near(d)) || (size === "_short" ? short : long))
    .replace("{time_secs}", d.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }))
    .replace("{time}", d.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }))
    .replace("{ago}", ago(seconds));
  return h("time", { datetime: d.toISOString(), title: d.toString() }, said);
}

// near names the days around now as Slack's "pretty" tokens do.
function near(d) {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.floor((d.getTime() - midnight.getTime()) / 86400000);
  return { "-1": "Yesterday", 0: "Today", 1: "Tomorrow" }[days];
}

export function ago(seconds) {
  const s = Math.max(0, Date.now() / 1000 - seconds);
  const unit = s < 60 ? [1, "second"] : s < 3600 ? [60, "minute"] : s < 86400 ? [3600, "hour"] : [86400, "day"];
  const n = Math.floor(s / unit[0]);
  return n === 0 ? "just now" : `${n} ${unit[1]}${n === 1 ? "" : "s"} ago`;
}

// textObject draws a text composition object.
export function textObject(t) {
  if (!t || typeof t.text !== "string") return [];
  return t.type === "mrkdwn" ? mrkdwn(t.text) : plain(t.text);
}

// plain draws plain_text: only emoji names mean something.
export function plain(text) {
  const out = [];
  let last = 0;
  for (const m of text.matchAll(/:([a-z0-9_+-]{1,50}):/g)) {
    if (!emoji(m[1])) continue;
    out.push(text.slice(last, m.index), emojiNode(m[1]));
    last = m.index + m[0].length;
  }
  out.push(text.slice(last));
  return out;
}

// mrkdwn draws a message's text.
export function mrkdwn(text) {
  const out = [];
  text.split("```").forEach((part, i, all) => {
    if (i % 2 === 1 && i < all.length - 1) {
      out.push(codeBlock(unescape(part.replace(/^\n/, "").replace(/<([^|>]*)\|([^>]*)>/g, "$2").replace(/<(https?:[^>]*)>/g, "$1"))));
      return;
    }
    if (i % 2 === 1) part = "```" + part;
    out.push(...lines(i > 0 ? part.replace(/^\n/, "") : part));
  });
  return out;
}

export function codeBlock(text) {
  return h("pre", { class: "code" }, h("code", {}, text));
}

function lines(text) {
  const out = [];
  let quote = null;
  const all = text.split("\n");
  all.forEach((line, i) => {
    const m = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (m) {
      if (!quote) out.push(quote = h("blockquote"));
      else quote.append("\n");
      quote.append(...inline(m[1]));
      return;
    }
    quote = null;
    out.push(...inline(line));
    if (i < all.length - 1) out.push("\n");
  });
  return out;
}

const marks = { "*": "strong", "_": "em", "~": "s" };
const boundary = /[\s.,:;!?()[\]{}"'“”‘’\-–—/|*_~<>]/;

// inline draws one line: code, links, mentions, emoji, bold, italic, strike.
export function inline(text) {
  const out = [];
  let buf = "";
  const flush = () => { if (buf) out.push(unescape(buf)); buf = ""; };
  for (let i = 0; i < text.length;) {
    const c = text[i];
    if (c === "`") {
      const end = text.indexOf("`", i + 1);
      if (end > i + 1) {
        flush();
        out.push(h("code", { class: "inline" }, unescape(text.slice(i + 1, end))));
        i = end + 1;
        continue;
      }
    } else if (c === "<") {
      const end = text.indexOf(">", i + 1);
      if (end > i + 1) {
        flush();
        out.push(angle(text.slice(i + 1, end)));
        i = end + 1;
        continue;
      }
    } else if (c === ":") {
      const m = /^:([a-z0-9_+-]{1,50}):/.exec(text.slice(i, i + 54));
      if (m && emoji(m[1])) {
        flush();
        out.push(emojiNode(m[1]));
        i += m[0].length;
        continue;
      }
    } else if (marks[c] && (i === 0 || boundary.test(text[i - 1])) && text[i + 1] && !/\s/.test(text[i + 1]) && text[i + 1] !== c) {
      let end = text.indexOf(c, i + 1);
      while (end > 0 && ((text[end + 1] && !boundary.test(text[end + 1])) || /\s/.test(text[end - 1]))) end = text.indexOf(c, end + 1);
      if (end > i + 1) {
        flush();
        out.push(h(marks[c], {}, inline(text.slice(i + 1, end))));
        i = end + 1;
        continue;
      }
    }
    buf += c;
    i++;
  }
  flush();
  return out;
}

// angle draws what stands between < and >.
function angle(body) {
  const bar = body.indexOf("|");
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? "" : unescape(body.slice(bar + 1));
  if (target[0] === "@") return userMention(target.slice(1));
  if (target[0] === "#") return channelMention(target.slice(1), label);
  if (target[0] === "!") {
    const word = target.slice(1);
    if (["channel", "here", "everyone"].includes(word)) return broadcast(word);
    if (word.startsWith("subteam^")) return groupMention(word.slice(8), label);
    if (word.startsWith("date^")) {
      const [, ts, format] = word.split("^");
      return date(Number(ts), format, label);
    }
    return "<" + unescape(body) + ">";
  }
  const url = unescape(target);
  return /^(https?:|mailto:)/.test(url) ? link(url, label) : "<" + unescape(body) + ">";
}
