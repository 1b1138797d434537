;; What a runtime finds where it looks for WASI preview1: no arguments, environment or files, a clock that stands still,
;; random numbers that are none, and a console that nobody reads. It imports nothing, so neither does the component;
;; time is a call of the contract (`timer`), and a replay needs nothing of this.
(module
  (import "env" "memory" (memory 0))
  (func (export "sched_yield") (result i32) i32.const 0)
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "args_get") (param i32 i32) (result i32) i32.const 0)
  (func (export "environ_get") (param i32 i32) (result i32) i32.const 0)
  (func (export "args_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) i32.const 0)
  (func (export "environ_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) i32.const 0)
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (i64.store (local.get 2) (i64.const 1000000000)) i32.const 0)
  (func (export "random_get") (param i32 i32) (result i32)
    (memory.fill (local.get 0) (i32.const 0x5a) (local.get 1)) i32.const 0)
  (func (export "fd_write") (param i32 i32 i32 i32) (result i32) (local i32)
    (block (loop
      (br_if 1 (i32.eqz (local.get 2)))
      (local.set 4 (i32.add (local.get 4) (i32.load offset=4 (local.get 1))))
      (local.set 1 (i32.add (local.get 1) (i32.const 8)))
      (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
      (br 0)))
    (i32.store (local.get 3) (local.get 4)) i32.const 0)
  ;; Nobody can wait here. But a wait of no nanoseconds is over at once: with it Go's collector asks whether anything is
  ;; ready, and aborts when that fails.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32)
    (if (result i32) (i64.eqz (i64.load offset=24 (local.get 0)))
      (then
        (memory.fill (local.get 1) (i32.const 0) (i32.const 32))
        (i32.store (local.get 3) (i32.const 1)) i32.const 0)
      (else i32.const 52)))
  (func (export "fd_close") (param i32) (result i32) i32.const 8)
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) i32.const 8)
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "adapter_monotonic_clock_set_paused") (param i32))
)
