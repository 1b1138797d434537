# What a watchdog does, in the folder that this file is in. Assignments come before it, and the functions put_back and
# ask_all: LK and LE are the lock of the run and its epoch, where it has one, AFTER is how long it waits and LIMIT how long one of these may take, both in hundredths of a second.
set -f
export LC_ALL=C
umask 077
cd -P -- "${0%/*}" || exit

# up: t is a clock that nobody sets, in hundredths of a second.
up() {
  if { read -r t x < /proc/uptime; } 2>/dev/null; then
    x=${t#*.}
    t=${t%.*}$x
    while [ "$t" != "${t#0}" ] && [ ${#t} -gt 1 ]; do
      t=${t#0}
    done
  else
    t=$(date +%s)00
  fi
}

# plain FILE LENGTH: its beginning, on one line.
plain() {
  head -c "$2" "$1" 2>/dev/null | tr '\000-\037' ' '
}

# limited COMMAND: runs it; s is its status, or `late`. What it starts may live on, and hold the ends of its output.
limited() {
  rm -f ./ended ./out
  : > ./out
  (
    eval "$1"
    s=$?
    : > ./ended
    exit "$s"
  ) </dev/null >>./out 2>&1 &
  p=$!
  up
  e=$((t + LIMIT))
  s=late
  until [ -e ./ended ]; do
    up
    [ "$t" -lt "$e" ] || {
      kill "$p" 2>/dev/null
      return
    }
    sleep 0.05 2>/dev/null || sleep 1
  done
  wait "$p"
  s=$?
}

# ask UNIT GOAL ACT STATE: asks for it and waits until the unit has come up or gone down.
ask() {
  a=$3
  b=$4
  g=$2
  limited 'reached'
  printf '%s\n' "service $1 $s $(plain ./out 500)" >> ./record.new
}

reached() {
  eval "$a" || return
  while :; do
    if eval "$b" >/dev/null 2>&1; then
      x=up
    else
      x=down
    fi
    [ "$x" != "$g" ] || return 0
    sleep 0.05 2>/dev/null || sleep 1
  done
}

# Where the disk is full by then, this makes room for the record.
head -c 16384 /dev/zero > ./reserve

up
END=$((t + AFTER))
read -r x < "/proc/$$/stat"
x=${x##*) }
set -- $x
shift 19
printf '%s\n' "$$ $1" > ./started.new && mv -T -- ./started.new ./started || exit

# In short sleeps: so it ends soon when it was disarmed, and one that somebody ends does not make it fire early.
while [ -f ./armed ]; do
  up
  r=$((END - t))
  [ "$r" -gt 0 ] || break
  [ "$r" -lt 200 ] || r=200
  c=00$((r % 100))
  sleep "$((r / 100)).${c#"${c%??}"}" 2>/dev/null || sleep 1
done
# Whoever has taken the lock of the run over takes care of the target.
[ -z "$LK" ] || { [ -d "$LK/$LE" ] && [ ! -e "$LK/$((LE + 1))" ]; } || exit 0
mv -T -- ./armed ./fired 2>/dev/null || exit 0

# From here on it is to come to its end. What it starts does not inherit this.
trap : HUP INT TERM
rm -f ./reserve
printf 'at %s\n' "$(date +%s)" > ./record.new
limited 'put_back'
IFS= read -r x < ./out
case $s:$x in
  0:reverted) l=reverted ;;
  0:left*) l=$(plain ./out 4200) ;;
  late:*) l="failed it took too long" ;;
  *) l="failed $(plain ./out 500)" ;;
esac
printf 'link %s\n' "$l" >> ./record.new
[ "$l" != reverted ] || ask_all
printf 'end\n' >> ./record.new
mv -T -- ./record.new ./record
! command -v logger >/dev/null 2>&1 || logger -t runner-watchdog -- "nobody confirmed in time: $l"
