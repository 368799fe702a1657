// The packed text in (see packing.py); its header and its columns, as typed arrays by name, out.
const unpack = async (text) => {
  const coded = atob(text.trim());
  const bytes = new Uint8Array(coded.length);
  for (let i = 0; i < coded.length; i++) bytes[i] = coded.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
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

// See packing.folded: null, or a number of either sign.
const unfolded = (coded) => (coded === 0 ? null : coded & 1 ? (coded - 1) / 2 : -coded / 2);
