# What `runner doctor` asks of a target. It is sent only then. Nothing in it changes anything.

# v_doctor SECONDS ROOT PROGRAM...: a line for each answer, a word in front. SECONDS is not used: it makes the lines of
# two requests different. ROOT is empty where there is none.
v_doctor() {
  d=$2
  shift 2
  printf "%s\n" "clock $(date +%s)"
  x=$(readlink /proc/$$/exe 2>/dev/null)
  printf "%s\n" "shell ${x:-unknown}"
  for p do
    has "$p" || printf "%s\n" "missing $p"
  done
  # The source is not there, so nothing can be moved; what counts is whether the option is known.
  case $(mv -T -- "/.runner-doctor-$N" "/.runner-doctor-$N.x" 2>&1) in
    *option* | *sage:*) printf "%s\n" "missing mv -T" ;;
  esac
  for p in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
    [ ! -r "$p" ] || [ -d "$p" ] || while read -r a b c; do
      case $a in
        [Mm]ax[Ss]essions) printf "%s\n" "sessions $b" ;;
      esac
    done < "$p"
  done
  [ -n "$d" ] || return 0
  c=$d
  while [ ! -d "$c" ] && [ ! -e "$c" ] && [ ! -L "$c" ]; do
    c=${c%/*}
    c=${c:-/}
  done
  if [ ! -d "$c" ]; then
    printf "%s\n" "blocked $c"
    return 0
  fi
  printf "%s\n" "near $c"
  [ ! -w "$c" ] || [ ! -x "$c" ] || printf "%s\n" "writable yes"
  x=$(df -Pk -- "$c" 2>/dev/null)
  printf "%s\n" "space ${x##*"$n"}"
  x=$(df -Pi -- "$c" 2>/dev/null)
  printf "%s\n" "inodes ${x##*"$n"}"
  printf "%s\n" "filesystem $(stat -f -c %T -- "$c" 2>/dev/null)"
  for x in "" /releases /shared /.runner; do
    [ ! -d "$d$x" ] || printf "%s\n" "device $(stat -L -c %d -- "$d$x") $d$x"
  done
}

# v_may USER ARGUMENTS: whether sudo lets the command be run without a password. It only asks.
v_may() {
  a=$1
  shift
  sudo -n -l -u "$a" -- "$@" > /dev/null 2>&1 || return 44
}
