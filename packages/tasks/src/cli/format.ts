/** Numbers and tables as people read them. */

/** A share as a percentage, rounded down, so that only what is complete is called 100 %. */
export function formatPercent(share: number): string {
  return Number.isFinite(share) ? `${(Math.floor(share * 1000) / 10).toFixed(1)} %` : "-";
}

/** E.g. `48 s`, `2 min 5 s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Right-aligned columns, two spaces apart, a line per row. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [header, ...rows].map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  "));
}

/** A name for a new folder: `20261122-004355`, local time. */
export function timestamp(date: Date = new Date()): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

/** E.g. `512 MiB`, `4.0 GiB`. */
export function formatBytes(bytes: number): string {
  const [mebi, gibi] = [2 ** 20, 2 ** 30];
  return bytes < gibi ? `${Math.floor(bytes / mebi)} MiB` : `${(bytes / gibi).toFixed(1)} GiB`;
}
