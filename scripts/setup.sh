# Sourced by `./demo` and `./test`: finds what they need, and installs what is missing where it may.
# shellcheck shell=bash

PATH=$PATH:$HOME/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin
say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# want COMMAND PACKAGE [WHY]: remembers what is missing.
MISSING=() PACKAGES=()
want() {
  has "$1" && return
  MISSING+=("\`$1\`${3:+ ($3)}")
  case " ${PACKAGES[*]} " in *" $2 "*) ;; *) PACKAGES+=("$2") ;; esac
}

# install_missing: installs the packages; as another user than root, or not on Debian, says how to.
# Answers 1 when something stays missing.
install_missing() {
  [ ${#PACKAGES[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    say "missing: ${MISSING[*]}"
    say "hint: on Debian, \`sudo apt-get install --no-install-recommends ${PACKAGES[*]}\`"
    return 1
  fi
  say "installing from Debian: ${PACKAGES[*]}"
  # Servers that are installed are not to be started: the tests and the demo start their own.
  local policy=/usr/sbin/policy-rc.d ours="" log rc=0
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && ours=yes; fi
  log=$(mktemp)
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}"
  } > "$log" 2>&1 < /dev/null || rc=$?
  [ -z "$ours" ] || rm -f $policy
  if [ $rc != 0 ]; then tail -n 20 "$log" >&2; say "apt-get failed ($rc)"; fi
  rm -f "$log"
  MISSING=() PACKAGES=()
  hash -r
  return $rc
}

# The compiler, a linker, and a way to build the standard modules. Ends the script when there is none.
need_rust() {
  has cargo || die "no cargo. Install it with rustup: https://rustup.rs"
  want cc gcc "the linker"
  [ -e /usr/include/stdio.h ] || want headers-of-libc libc6-dev "the headers of libc"
  local sysroot
  sysroot=$(rustc --print sysroot) || die "rustc does not answer: is the toolchain of rust-toolchain.toml installed?"
  # rustup has installed the target that rust-toolchain.toml names, unless it may not (RUSTUP_AUTO_INSTALL=0) or cannot.
  if ! [ -e "$sysroot/lib/rustlib/wasm32-unknown-unknown/lib" ]; then
    [ -d /usr/lib/rustlib/src/rust/library ] || want rust-web-src rust-web-src "for the standard modules"
    has /usr/bin/rustc || want rustc-web rustc-web "for the standard modules"
  fi
}

# What a fleet of real hosts is made of.
want_fleet() {
  want sshd openssh-server
  want ssh openssh-client
  want nginx nginx-light
  want haproxy haproxy "the load balancer of the tests"
  want wrk wrk "requests that go on while the tests release"
  want curl curl
  want tar tar
  want zstd zstd # what targets pack with where they have it
  want socat socat "what targets have where sshd forwards nothing"
  want busybox busybox "another shell that targets have"
  if [ "$(id -u)" = 0 ]; then
    want sudo sudo
    want unshare util-linux
    want mount mount
    want ip iproute2
  fi
}
