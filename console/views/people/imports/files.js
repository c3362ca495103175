// Whether what somebody has chosen can be a roster, looked at before a byte is sent. The worker looks again, and for more
// (rules/import_states.py, rules/roster_zip.py, import_files.py): a test holds the names and bounds together.
import { t } from "./words.js";

export const ZIP = "roster.zip";
export const ZIP_BYTES_MAX = 100 * 1024 * 1024;
export const CSV_BYTES_MAX = 50 * 1024 * 1024;
export const NEEDED = ["orgs.csv", "classes.csv", "users.csv", "enrollments.csv"];
export const READ = [...NEEDED, "roles.csv", "manifest.csv"];

/**
 * What there is to upload: {files: {name: File}, leftOut: [names]}, or {problems: [words]}. Files of OneRoster that are never read
 * are left out by name, so that a whole folder may be dropped.
 */
export async function choose(given) {
  const files = [...given];
  if (files.length === 0) return { problems: [t("f_nothing")] };
  const zips = files.filter((file) => isCalled(file, ".zip"));
  if (zips.length && files.length > 1) return { problems: [t("f_alone")] };
  if (zips.length) return oneZip(zips[0]);
  return csvFiles(files);
}

async function oneZip(file) {
  const wrong = sizeProblem(file, ZIP_BYTES_MAX);
  if (wrong) return { problems: [wrong] };
  let first;
  try {
    first = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  } catch {
    return { problems: [t("f_unreadable", file.name)] };
  }
  // A zip's first file (APPNOTE.TXT 4.3.7); an empty zip begins otherwise and is of no use here.
  const isZip = [0x50, 0x4b, 0x03, 0x04].every((byte, place) => first[place] === byte);
  return isZip ? { files: { [ZIP]: file }, leftOut: [] } : { problems: [t("f_not_zip", file.name)] };
}

function csvFiles(files) {
  const problems = [];
  const chosen = {};
  const leftOut = [];
  for (const file of files) {
    const name = file.name.toLowerCase();
    if (!isCalled(file, ".csv")) problems.push(t(/\.(xlsx?|ods|numbers)$/i.test(file.name) ? "f_spreadsheet" : "f_wrong_kind", file.name));
    else if (!READ.includes(name)) leftOut.push(file.name);
    else if (chosen[name]) problems.push(t("f_twice", name));
    else {
      const wrong = sizeProblem(file, CSV_BYTES_MAX);
      if (wrong) problems.push(wrong);
      chosen[name] = file;
    }
  }
  const missing = NEEDED.filter((name) => !chosen[name]);
  if (missing.length && !problems.length) problems.push(t("f_missing", missing.join(", ")));
  return problems.length ? { problems } : { files: chosen, leftOut };
}

const isCalled = (file, ending) => file.name.toLowerCase().endsWith(ending);

function sizeProblem(file, max) {
  if (file.size === 0) return t("f_empty", file.name);
  return file.size > max ? t("f_too_large", file.name, file.size, max) : null;
}
