/** The options of `banach train` that say which mixer a layer has, and the mixer that they make. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import {
  type ExpertConfig,
  type ExpertName,
  EXPERTS,
  type MixerConfig,
  type MixerName,
  MIXERS,
  NORMALISATIONS,
} from "../run/index.ts";
import { positiveInteger, positiveIntegers } from "./options.ts";

/** As commander hands them over. */
export interface MixerFlags {
  readonly mixer: MixerName;
  readonly experts?: readonly ExpertName[];
  readonly rank?: number;
  readonly gain?: "1" | "2";
  readonly normalisation?: (typeof NORMALISATIONS)[number];
  readonly factors?: readonly [number, number];
  readonly reflections?: number;
  readonly projectionRank?: number;
}

type OptionName = Exclude<keyof MixerFlags, "mixer">;

/** Which mixers have an option. Those of a mixture's experts belong to it too. */
const OWNERS: Readonly<Record<OptionName, readonly MixerName[]>> = {
  experts: ["mixture"],
  rank: ["householder", "dplr"],
  gain: EXPERTS,
  normalisation: ["kronecker"],
  factors: ["kronecker", "monarch"],
  reflections: ["orthogonal"],
  projectionRank: ["householder", "dplr", "kronecker", "monarch", "dense"],
};

/** What they are called in a command's options. */
export const MIXER_OPTIONS: readonly string[] = ["mixer", ...Object.keys(OWNERS)];

const RANK = 2;

/** The one of the three with which the map contracts whatever the weights are. */
const NORMALISATION = "certified";

export function addMixerOptions(command: Command): Command {
  return command
    .addOption(new Option("--mixer <name>", "mixer of the channels").choices(MIXERS).default(MIXERS[0]))
    .option("--experts <list>", "mixture: its mixers, such as householder,monarch", expertNames)
    .option("--rank <n>", `householder, dplr: directions (default: ${RANK})`, positiveInteger)
    .addOption(
      new Option(
        "--gain <n>",
        "factor on what the mixer takes from the identity; 2 can leave the region of contraction (default: 1)",
      ).choices(["1", "2"]),
    )
    .addOption(
      new Option(
        "--normalisation <name>",
        `kronecker: of its factors; only certified is a bound (default: ${NORMALISATION})`,
      ).choices(NORMALISATIONS),
    )
    .option("--factors <list>", "kronecker, monarch: two that make the channels (default: the most equal)", factors)
    .option("--reflections <n>", "orthogonal: reflections (default: as many as channels)", positiveInteger)
    .option(
      "--projection-rank <n>",
      "all but orthogonal: bottleneck that matrices are computed through (default: none)",
      positiveInteger,
    );
}

/** The mixer that options describe. Throws UsageError for an option that it does not have, or a mixture of nothing. */
export function mixerOf(flags: MixerFlags): MixerConfig {
  const { mixer, experts } = flags;
  for (const [name, owners] of Object.entries(OWNERS) as [OptionName, readonly MixerName[]][]) {
    const value = flags[name];
    const has = owners.includes(mixer) || (mixer === "mixture" && experts?.some((kind) => owners.includes(kind)));
    if (value === undefined || has === true) continue;
    const whole = mixer === "mixture" && experts !== undefined ? `mixture of ${experts.join(", ")}` : mixer;
    throw new UsageError(`${written(name)} ${String(value)} is for --mixer ${owners.join(", ")}; ${whole} has none`);
  }
  if (mixer !== "mixture") return expertOf(mixer, flags);
  if (experts === undefined) throw new UsageError("--mixer mixture needs --experts, such as householder,monarch");
  return { kind: mixer, experts: experts.map((kind) => expertOf(kind, flags)) };
}

function expertOf(kind: ExpertName, flags: MixerFlags): ExpertConfig {
  const { rank = RANK, normalisation = NORMALISATION } = flags;
  const gained = { gain: flags.gain === "2" ? 2 : 1 } as const;
  const selective = { ...gained, ...given("projectionRank", flags.projectionRank) };
  const factored = given("factors", flags.factors);
  switch (kind) {
    case "householder":
    case "dplr":
      return { kind, rank, ...selective };
    case "kronecker":
      return { kind, normalisation, ...factored, ...selective };
    case "monarch":
      return { kind, ...factored, ...selective };
    case "dense":
      return { kind, ...selective };
    case "orthogonal":
      return { kind, ...given("reflections", flags.reflections), ...gained };
    default:
      return kind satisfies never;
  }
}

/** A member, if there is a value for it. */
function given<K extends string, V>(name: K, value: V | undefined): Partial<Record<K, V>> {
  // An object with a computed key has the type of any object with such keys; the compiler does not know which it is.
  return (value === undefined ? {} : { [name]: value }) as Partial<Record<K, V>>;
}

/** As it is given on the command line. */
function written(name: OptionName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function expertNames(text: string): readonly ExpertName[] {
  const known: readonly string[] = EXPERTS;
  const names = text.split(",");
  const isExpert = (name: string): name is ExpertName => known.includes(name);
  if (names.every(isExpert)) return names;
  throw new InvalidArgumentError(`Expected mixers with commas between them, of ${known.join(", ")}.`);
}

function factors(text: string): readonly [number, number] {
  const [d1, d2, ...rest] = positiveIntegers(text);
  if (d1 !== undefined && d2 !== undefined && rest.length === 0) return [d1, d2];
  throw new InvalidArgumentError("Expected two positive integers with a comma between them, such as 4,8.");
}
