// Block Kit as DOM nodes.
import { h, link, safeURL, popup, confirmDialog, copy } from "./dom.js";
import { textObject, plain, mrkdwn, userMention, channelMention, groupMention, broadcast, emojiNode, date } from "./mrkdwn.js";

// drawBlocks draws a message's blocks. act sends a click: (block, element, choice).
// fileURL says where a file of the workspace is shown.
export function drawBlocks(blocks, ctx) {
  return blocks.map((b) => {
    const el = draw(b, ctx);
    el.setAttribute("data-block", b.type);
    if (b.block_id) el.setAttribute("data-block-id", b.block_id);
    return el;
  });
}

function draw(b, ctx) {
  switch (b.type) {
    case "header": return h("h3", { class: "b-header" }, plain(b.text?.text || ""));
    case "section": return section(b, ctx);
    case "context": return h("div", { class: "b-context" }, (b.elements || []).map((e) => e.type === "image" ? image(e, ctx, "context-image") : h("span", {}, textObject(e))));
    case "divider": return h("hr", { class: "b-divider" });
    case "actions": return h("div", { class: "b-actions", role: "group", "aria-label": "Actions" }, (b.elements || []).map((e) => element(b, e, ctx)));
    case "rich_text": return h("div", { class: "b-rich" }, (b.elements || []).map(richText));
    case "table": return table(b);
    case "image": return h("figure", { class: "b-image" }, b.title && h("figcaption", {}, textObject(b.title)), image(b, ctx, "block-image"));
    case "file": return h("div", { class: "b-file" }, "📎 Remote file ", h("code", { class: "inline" }, b.external_id || ""));
    case "markdown": return h("div", { class: "b-markdown" }, markdown(b.text || ""));
  }
  return h("div", { class: "unknown" }, "A block of type " + b.type + " that this page cannot draw");
}

function section(b, ctx) {
  return h("div", { class: "b-section" },
    h("div", { class: "b-section-main" },
      b.text && h("div", { class: "b-text" }, textObject(b.text)),
      b.fields && h("div", { class: "b-fields" }, b.fields.map((f) => h("div", { class: "b-field" }, textObject(f))))),
    b.accessory && h("div", { class: "b-accessory" }, b.accessory.type === "image" ? image(b.accessory, ctx, "thumb") : element(b, b.accessory, ctx)));
}

// image shows a file of the workspace. Pictures from elsewhere are not loaded: the
// page takes nothing from other hosts, so they stand as links.
function image(b, ctx, cls) {
  if (b.slack_file?.id) return h("img", { class: cls, src: ctx.fileURL({ id: b.slack_file.id, name: "image" }), alt: b.alt_text || "", loading: "lazy" });
  const url = safeURL(b.image_url || "");
  return h("span", { class: "image-link" }, "🖼 ", url ? link(url, b.alt_text || url) : b.alt_text || "image");
}

function element(block, e, ctx) {
  const common = { type: "button", "data-action-id": e.action_id, "data-block-id": block.block_id };
  if (e.type === "button") {
    const label = h("span", {}, plain(e.text?.text || ""));
    const btn = h("button", { ...common, class: "btn " + (e.style || ""), "aria-label": e.accessibility_label, "data-value": e.value }, label, e.url && h("span", { class: "out", "aria-hidden": "true" }, "↗"));
    btn.addEventListener("click", () => press(btn, block, e, "", ctx));
    return btn;
  }
  const options = [...(e.options || []), ...(e.option_groups || []).flatMap((g) => g.options || [])];
  const choices = options.map((o) => ({ value: o.value, label: o.text?.text || o.value, says: o.description?.text, url: o.url }));
  const overflow = e.type === "overflow";
  const shown = e.initial_option?.text?.text || e.placeholder?.text || "Choose…";
  const btn = h("button", { ...common, class: "btn " + (overflow ? "overflow" : "select"), "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": overflow ? "More actions" : null },
    overflow ? "⋯" : [h("span", {}, shown), h("span", { class: "caret", "aria-hidden": "true" }, "▾")]);
  btn.addEventListener("click", async () => {
    const c = await popup(btn, choices, overflow ? "More actions" : shown);
    if (c && !overflow) btn.firstChild.textContent = c.label;
    if (c) press(btn, block, { ...e, url: c.url }, c.value, ctx);
  });
  return btn;
}

async function press(btn, block, e, choice, ctx) {
  if (btn.getAttribute("aria-busy")) return;
  if (e.confirm) {
    const yes = await confirmDialog(e.confirm, textObject);
    if (btn.isConnected) btn.focus();
    if (!yes) return;
  }
  const url = e.url && safeURL(e.url);
  if (url) window.open(url, "_blank", "noopener,noreferrer");
  btn.setAttribute("aria-busy", "true");
  try {
    await ctx.act(block, e, choice);
  } finally {
    btn.removeAttribute("aria-busy");
  }
}

function richText(e) {
  switch (e.type) {
    case "rich_text_section": return h("div", { class: "rt-section" }, inlineElements(e.elements));
    case "rich_text_quote": return h("blockquote", {}, inlineElements(e.elements));
    case "rich_text_preformatted": return preformatted(e);
    case "rich_text_list": {
      const depth = Math.min(8, Math.max(0, e.indent || 0));
      const items = (e.elements || []).map((s) => h("li", {}, inlineElements(s.elements)));
      return h(e.style === "ordered" ? "ol" : "ul", { class: "rt-list depth-" + depth, start: e.style === "ordered" && e.offset ? e.offset + 1 : null }, items);
    }
  }
  return h("div", { class: "unknown" }, "Rich text of type " + e.type);
}

function preformatted(e) {
  const code = h("code", {}, inlineElements(e.elements));
  const button = h("button", { type: "button", class: "copy", click: () => copy(code.textContent, button) }, "Copy");
  return h("div", { class: "pre-wrap" }, h("pre", { class: "code", tabindex: "0" }, code), button);
}

function inlineElements(elements) {
  return (elements || []).map((e) => styled(inlineNode(e), e.style));
}

function inlineNode(e) {
  switch (e.type) {
    case "text": return e.text || "";
    case "link": return link(e.url || "", e.text || e.url);
    case "emoji": return emojiNode(e.name || "", e.unicode);
    case "user": return userMention(e.user_id || "");
    case "usergroup": return groupMention(e.usergroup_id || "");
    case "channel": return channelMention(e.channel_id || "");
    case "broadcast": return broadcast(e.range || "channel");
    case "date": return date(e.timestamp, e.format, e.fallback);
    case "color": return h("code", { class: "inline" }, e.value || "");
  }
  return "";
}

function styled(node, style) {
  if (!style) return node;
  if (style.code) node = h("code", { class: "inline" }, node);
  if (style.bold) node = h("strong", {}, node);
  if (style.italic) node = h("em", {}, node);
  if (style.strike) node = h("s", {}, node);
  if (style.underline) node = h("u", {}, node);
  return node;
}

function table(b) {
  const settings = b.column_settings || [];
  const cell = (tag, c, i) => {
    const align = settings[i]?.align;
    const body = c?.type === "rich_text" ? (c.elements || []).map(richText) : c?.text ?? (c?.value !== undefined ? String(c.value) : "");
    return h(tag, { scope: tag === "th" ? "col" : null, class: [align ? "align-" + align : "", settings[i]?.is_wrapped ? "wrapped" : ""].join(" ").trim() || null }, body);
  };
  const [head, ...rest] = b.rows || [];
  return h("div", { class: "b-table", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", {},
      head && h("thead", {}, h("tr", {}, head.map((c, i) => cell("th", c, i)))),
      h("tbody", {}, rest.map((r) => h("tr", {}, r.map((c, i) => cell("td", c, i)))))));
}

// markdown draws a markdown block: headings, lists, fences; the rest as mrkdwn does.
function markdown(text) {
  const out = [];
  text.split("```").forEach((part, i) => {
    if (i % 2 === 1) { out.push(h("pre", { class: "code" }, h("code", {}, part.replace(/^[a-z]*\n/, "")))); return; }
    for (const line of part.replace(/^\n|\n$/g, "").split("\n")) {
      const head = /^#{1,6} (.*)$/.exec(line);
      const item = /^\s*[-*] (.*)$/.exec(line);
      const bold = (s) => s.replace(/\*\*([^*]+)\*\*/g, "*$1*").replace(/\[([^\]]+)\]\((https?:[^)\s]+)\)/g, "<$2|$1>");
      if (head) out.push(h("strong", { class: "md-head" }, mrkdwn(bold(head[1]))));
      else if (item) out.push(h("div", { class: "md-item" }, "• ", mrkdwn(bold(item[1]))));
      else out.push(...mrkdwn(bold(line)), "\n");
    }
  });
  return out;
}
