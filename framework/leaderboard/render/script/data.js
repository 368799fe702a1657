// The unpacked columns in; facts of rows, and cells of matrices, out.
const data = {};

const read = ({ header, columns }) => {
  columns.value = Uint16Array.from(columns.value, (value) => 10 * value); // of cells it has a digit more
  Object.assign(data, { header, columns, size: columns.value.length, fields: {} });
  for (const [group, names] of Object.entries(header.fields)) {
    names.forEach((name, i) => (data.fields[name] = [group, i]));
  }
  const starts = [0];
  columns.cell_seeds.forEach((seeds, i) => starts.push(starts[i] + seeds));
  data.matrices = header.matrices.map((matrix) => ({ ...matrix, cells: new Map(), averages: new Map() }));
  columns.cell_matrix.forEach((m, i) => {
    const [marks, place, own, inDomain] = header.dictionaries.cell_facts[columns.cell_facts[i]];
    const cell = { ...shares("cell_", i), marks, place, own, inDomain, spread: unfolded(columns.cell_spread[i]) };
    cell.rows = [...columns.cell_rows.subarray(starts[i], starts[i + 1])];
    cell.line = data.matrices[m].trained[columns.cell_line[i]];
    cell.column = data.matrices[m].tested[columns.cell_column[i]];
    cell.exact = cell.value + unfolded(columns.cell_rest[i]) / 100;
    if (cell.column === undefined) data.matrices[m].averages.set(cell.line, cell);
    else data.matrices[m].cells.set(keyOf(cell.line, cell.column), cell);
  });
};

const keyOf = (line, column) => JSON.stringify([line, column]);
const cellOf = (matrix, line, column) => matrix.cells.get(keyOf(line, column));

const shares = (prefix, i) => ({
  value: data.columns[`${prefix}value`][i],
  below: unfolded(data.columns[`${prefix}below`][i]),
  above: unfolded(data.columns[`${prefix}above`][i]),
});

// One field of one row, by the name it has in Row.
const fact = (row, name) => {
  const [group, i] = data.fields[name];
  return data.header.dictionaries[group][data.columns[group][row]][i];
};
const chanceOf = (row) => data.header.dictionaries.chance[data.columns.chance[row]]; // as text
const errorOf = (row) => (data.columns.error[row] ? `at most ±${data.columns.error[row] / 1000}` : "exact");

// Of each combination of a group of fields, what a function says of it: asked once, not for every row.
const perGroup = (group, say) => {
  const names = data.header.fields[group];
  return data.header.dictionaries[group].map((values) => say(Object.fromEntries(names.map((n, i) => [n, values[i]]))));
};
const distinct = (name) => {
  const [group, i] = data.fields[name];
  return [...new Set(data.header.dictionaries[group].map((values) => values[i]))].sort((a, b) => a.localeCompare(b));
};

// The newest rows of single categories behind one row of a matrix: same method, seed, data, views, level and definition.
const categoriesOf = (row) => {
  const same = (group, names) => {
    const wanted = names.map((name) => fact(row, name));
    return perGroup(group, (values) => names.every((name, i) => values[name] === wanted[i]));
  };
  const who = same("who", ["trained_on", "experiment", "model", "backbone", "seed"]);
  const where = same("where", ["tested_on", "fingerprint"]).map(
    (fits, i) => fits && data.header.dictionaries.where[i][data.fields.category[1]] !== data.header.all,
  );
  const control = fact(row, "model").startsWith("control: "); // of another direction in each category
  const what = same("what", ["level", "element", "metric", "views", ...(control ? [] : ["definition"])]);
  const found = [];
  const { columns } = data;
  for (let i = 0; i < data.size; i++) {
    if (columns.current[i] && what[columns.what[i]] && where[columns.where[i]] && who[columns.who[i]]) found.push(i);
  }
  return found;
};
