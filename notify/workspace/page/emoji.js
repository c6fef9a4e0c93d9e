// The emoji that messages of operators' tools tend to use. Others show as :name:.
const table = `
warning ⚠️|rotating_light 🚨|fire 🔥|boom 💥|bomb 💣|skull 💀|ghost 👻|robot_face 🤖|eyes 👀|wave 👋|tada 🎉|rocket 🚀|bug 🐛|beetle 🐞
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|no_entry ⛔|no_entry_sign 🚫|exclamation ❗|question ❓|bangbang ‼️|octagonal_sign 🛑
red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫
large_red_square 🟥|large_green_square 🟩|large_yellow_square 🟨|large_orange_square 🟧|large_blue_square 🟦|white_large_square ⬜|black_large_square ⬛
arrows_counterclockwise 🔄|arrows_clockwise 🔃|repeat 🔁|leftwards_arrow_with_hook ↩️|arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️|arrow_upper_right ↗️|rewind ⏪
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|alarm_clock ⏰|clock1 🕐|calendar 📆|zzz 💤|double_vertical_bar ⏸️|black_square_for_stop ⏹️|arrow_forward ▶️
mag 🔍|mag_right 🔎|bulb 💡|wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|gear ⚙️|nut_and_bolt 🔩|link 🔗|paperclip 📎|pushpin 📌|bookmark 🔖|label 🏷️|package 📦|whale 🐳
scroll 📜|page_facing_up 📄|memo 📝|clipboard 📋|file_folder 📁|open_file_folder 📂|floppy_disk 💾|bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|card_index_dividers 🗂️
lock 🔒|unlock 🔓|key 🔑|closed_lock_with_key 🔐|shield 🛡️|bell 🔔|no_bell 🔕|mute 🔇|speech_balloon 💬|thread 🧵|mailbox 📫|email 📧|telephone_receiver 📞
thumbsup 👍|+1 👍|thumbsdown 👎|-1 👎|ok_hand 👌|pray 🙏|clap 👏|raised_hands 🙌|muscle 💪|point_right 👉|point_up ☝️|heart ❤️|broken_heart 💔|star ⭐|sparkles ✨|zap ⚡
smile 😄|grin 😁|slightly_smiling_face 🙂|thinking_face 🤔|sweat_smile 😅|cry 😢|sob 😭|scream 😱|confused 😕|sunglasses 😎|see_no_evil 🙈|facepalm 🤦|shrug 🤷
information_source ℹ️|new 🆕|sos 🆘|construction 🚧|electric_plug 🔌|battery 🔋|satellite_antenna 📡|computer 💻|desktop_computer 🖥️|globe_with_meridians 🌐|ambulance 🚑|adhesive_bandage 🩹|stethoscope 🩺|coffin ⚰️|recycle ♻️|wheel_of_dharma ☸️|anchor ⚓`;

const byName = new Map();
for (const entry of table.split(/[|\n]/)) {
  const at = entry.indexOf(" ");
  if (at > 0) byName.set(entry.slice(0, at), entry.slice(at + 1));
}

export function emoji(name) {
  return byName.get(name) || null;
}
