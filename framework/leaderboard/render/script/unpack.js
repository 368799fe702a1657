// The packed text in (see packing.py); its header and its columns, as typed arrays by name, out.
const unpack = async (text) => {
  const stream = new Blob([decoded(text.trim())]).stream().pipeThrough(new DecompressionStream("deflate"));
  const whole = await new Response(stream).arrayBuffer();
  const raw = new Uint8Array(whole);
  const size = new DataView(whole).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + size)));
  const columns = {};
  let at = 4 + size;
  for (const [name, count, width] of header.columns) {
    const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
    const column = (columns[name] = new kinds[width](count));
    for (let plane = 0; plane < width; plane++, at += count) {
      for (let i = 0; i < count; i++) column[i] |= raw[at + i] << (8 * plane);
    }
  }
  return { header, columns };
};

// Base 85, as Python's b85encode writes it but with a comma for "<".
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";
const decoded = (text) => {
  const places = new Uint8Array(128);
  [...DIGITS].forEach((digit, i) => (places[digit.charCodeAt(0)] = i));
  const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4);
  for (let i = 0, at = 0; i < text.length; i += 5) {
    let number = 0;
    for (let j = i; j < i + 5; j++) number = number * 85 + (j < text.length ? places[text.charCodeAt(j)] : 84);
    for (const shift of [24, 16, 8, 0]) bytes[at++] = number >>> shift;
  }
  return bytes.subarray(0, Math.floor((text.length * 4) / 5));
};

// See packing.folded: null, or a number of either sign.
const unfolded = (coded) => (coded === 0 ? null : coded & 1 ? (coded - 1) / 2 : -coded / 2);
