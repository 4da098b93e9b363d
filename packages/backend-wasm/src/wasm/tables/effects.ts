/**
 * Opcodes of the instructions that change memory or depend on when they run: a function builder has them as methods.
 * `atomicN` stands for an optional offset of an access that has to be aligned to N bytes, `zero` for a reserved byte,
 * `data` for a data segment; a dot of the text format is an underscore here (`i32.atomic.rmw.add`: `atomic_rmw_add`).
 */

/** Scalar stores, and the memory's size in pages of 64 KiB. */
export const stores = {
  i32: {
    "i32 i32 mem4 -> void": { store: 0x36 },
    "i32 i32 mem2 -> void": { store16: 0x3b },
    "i32 i32 mem1 -> void": { store8: 0x3a },
  },
  i64: {
    "i32 i64 mem8 -> void": { store: 0x37 },
    "i32 i64 mem4 -> void": { store32: 0x3e },
    "i32 i64 mem2 -> void": { store16: 0x3d },
    "i32 i64 mem1 -> void": { store8: 0x3c },
  },
  f32: { "i32 f32 mem4 -> void": { store: 0x38 } },
  f64: { "i32 f64 mem8 -> void": { store: 0x39 } },
  memory: {
    "zero -> i32": { size: 0x3f },
    "i32 zero -> i32": { grow: 0x40 },
  },
} as const;

/** Vector stores; after the prefix 0xfd. */
export const vectorStores = {
  v128: {
    "i32 v128 mem16 -> void": { store: 11 },
    "i32 v128 lane16 mem1 -> void": { store8_lane: 88 },
    "i32 v128 lane8 mem2 -> void": { store16_lane: 89 },
    "i32 v128 lane4 mem4 -> void": { store32_lane: 90 },
    "i32 v128 lane2 mem8 -> void": { store64_lane: 91 },
  },
} as const;

/** (to, from or value, bytes); after the prefix 0xfc. */
export const bulkMemory = {
  memory: {
    "data i32 i32 i32 zero -> void": { init: 8 },
    "i32 i32 i32 zero zero -> void": { copy: 10 },
    "i32 i32 i32 zero -> void": { fill: 11 },
  },
  data: { "data -> void": { drop: 9 } },
} as const;

/** Sequentially consistent accesses; a `rmw` gives the value from before. After the prefix 0xfe. */
// prettier-ignore
export const atomics = {
  i32: {
    "i32 atomic4 -> i32": { atomic_load: 0x10 },
    "i32 atomic2 -> i32": { atomic_load16_u: 0x13 },
    "i32 atomic1 -> i32": { atomic_load8_u: 0x12 },
    "i32 i32 atomic4 -> void": { atomic_store: 0x17 },
    "i32 i32 atomic2 -> void": { atomic_store16: 0x1a },
    "i32 i32 atomic1 -> void": { atomic_store8: 0x19 },
    "i32 i32 atomic4 -> i32": {
      atomic_rmw_add: 0x1e, atomic_rmw_sub: 0x25, atomic_rmw_and: 0x2c,
      atomic_rmw_or: 0x33, atomic_rmw_xor: 0x3a, atomic_rmw_xchg: 0x41,
    },
    "i32 i32 atomic2 -> i32": {
      atomic_rmw16_add_u: 0x21, atomic_rmw16_sub_u: 0x28, atomic_rmw16_and_u: 0x2f,
      atomic_rmw16_or_u: 0x36, atomic_rmw16_xor_u: 0x3d, atomic_rmw16_xchg_u: 0x44,
    },
    "i32 i32 atomic1 -> i32": {
      atomic_rmw8_add_u: 0x20, atomic_rmw8_sub_u: 0x27, atomic_rmw8_and_u: 0x2e,
      atomic_rmw8_or_u: 0x35, atomic_rmw8_xor_u: 0x3c, atomic_rmw8_xchg_u: 0x43,
    },
    "i32 i32 i32 atomic4 -> i32": { atomic_rmw_cmpxchg: 0x48 },
    "i32 i32 i32 atomic2 -> i32": { atomic_rmw16_cmpxchg_u: 0x4b },
    "i32 i32 i32 atomic1 -> i32": { atomic_rmw8_cmpxchg_u: 0x4a },
  },
  i64: {
    "i32 atomic8 -> i64": { atomic_load: 0x11 },
    "i32 atomic4 -> i64": { atomic_load32_u: 0x16 },
    "i32 atomic2 -> i64": { atomic_load16_u: 0x15 },
    "i32 atomic1 -> i64": { atomic_load8_u: 0x14 },
    "i32 i64 atomic8 -> void": { atomic_store: 0x18 },
    "i32 i64 atomic4 -> void": { atomic_store32: 0x1d },
    "i32 i64 atomic2 -> void": { atomic_store16: 0x1c },
    "i32 i64 atomic1 -> void": { atomic_store8: 0x1b },
    "i32 i64 atomic8 -> i64": {
      atomic_rmw_add: 0x1f, atomic_rmw_sub: 0x26, atomic_rmw_and: 0x2d,
      atomic_rmw_or: 0x34, atomic_rmw_xor: 0x3b, atomic_rmw_xchg: 0x42,
    },
    "i32 i64 atomic4 -> i64": {
      atomic_rmw32_add_u: 0x24, atomic_rmw32_sub_u: 0x2b, atomic_rmw32_and_u: 0x32,
      atomic_rmw32_or_u: 0x39, atomic_rmw32_xor_u: 0x40, atomic_rmw32_xchg_u: 0x47,
    },
    "i32 i64 atomic2 -> i64": {
      atomic_rmw16_add_u: 0x23, atomic_rmw16_sub_u: 0x2a, atomic_rmw16_and_u: 0x31,
      atomic_rmw16_or_u: 0x38, atomic_rmw16_xor_u: 0x3f, atomic_rmw16_xchg_u: 0x46,
    },
    "i32 i64 atomic1 -> i64": {
      atomic_rmw8_add_u: 0x22, atomic_rmw8_sub_u: 0x29, atomic_rmw8_and_u: 0x30,
      atomic_rmw8_or_u: 0x37, atomic_rmw8_xor_u: 0x3e, atomic_rmw8_xchg_u: 0x45,
    },
    "i32 i64 i64 atomic8 -> i64": { atomic_rmw_cmpxchg: 0x49 },
    "i32 i64 i64 atomic4 -> i64": { atomic_rmw32_cmpxchg_u: 0x4e },
    "i32 i64 i64 atomic2 -> i64": { atomic_rmw16_cmpxchg_u: 0x4d },
    "i32 i64 i64 atomic1 -> i64": { atomic_rmw8_cmpxchg_u: 0x4c },
  },
  memory: {
    /** (address, how many to wake) -> how many were woken. */
    "i32 i32 atomic4 -> i32": { atomic_notify: 0x00 },
    /** (address, expected, timeout in ns or -1) -> 0 woken, 1 not equal, 2 timed out. */
    "i32 i32 i64 atomic4 -> i32": { atomic_wait32: 0x01 },
    "i32 i64 i64 atomic8 -> i32": { atomic_wait64: 0x02 },
  },
  atomic: { "zero -> void": { fence: 0x03 } },
} as const;
