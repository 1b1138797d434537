# The lock of a root. An epoch is a folder whose name is its number; the highest one counts, and the number only grows.
# In it, `holder` is who has it and since when, on one line, `until` when its lease is over by the clock of this machine,
# and `free` is there when it was released. A folder gets its name when all of it is there.
#
# LK the folder of the lock, LE the epoch of this run (empty: it took none), LO not empty: this user may be one who cannot
# look into LK. E is the highest epoch in a folder, EN the time now, EU when its lease is over, EH its holder.

# held: no newer epoch is there, and this run's own is. It costs no process.
held() {
  [ -n "$LE" ] || return 0
  if [ -d "$LK/$LE" ]; then
    [ -e "$LK/$((LE + 1))" ] || return 0
  elif [ -n "$LO" ] && [ ! -x "$LK" ]; then
    return 0
  fi
  newest "$LK"
  EH=
  [ "$E" -le "$LE" ] || ! read -r EH 2>/dev/null < "$LK/$E/holder" || :
  no 52 "$EH"
}

# m VERB ARGUMENTS: a verb that writes, where the intent went with another request.
m() {
  held || return
  "$@"
}

# newest FOLDER: E is the highest epoch in it, or 0.
newest() {
  E=0
  set +f
  for p in "$1"/[1-9]*; do
    p=${p##*/}
    case $p in
      *[!0-9]*) continue ;;
    esac
    [ "${#p}" -gt 15 ] || [ "$p" -le "$E" ] || E=$p
  done
  set -f
}

# leased LEASE: until when epoch E is leased, and by whom. What does not say counts from when it was made.
leased() {
  EU=
  EH=
  [ ! -f "./$E/until" ] || ! read -r EU 2>/dev/null < "./$E/until" || :
  [ ! -f "./$E/holder" ] || ! IFS= read -r EH 2>/dev/null < "./$E/holder" || :
  [ "${#EU}" -le 15 ] || EU=
  case $EU in
    0?* | *[!0-9]*) EU= ;;
  esac
  [ -n "$EU" ] || {
    EU=$(stat -c %Y -- "./$E") || return 44
    EU=$((EU + $1))
  }
}

# clock: EN is the time.
clock() {
  EN=$(date +%s) || return 51
  case $EN in
    "" | *[!0-9]*)
      no 51 "date on the target does not tell the seconds"
      return ;;
  esac
}

# stands: what is known of epoch E.
stands() {
  x=held
  ! there "./$E/free" || x=free
  printf "%s %s %s %s\n%s\n" "$E" "$EN" "$EU" "$x" "$EH"
}

# lair FOLDER: enters the folder of the lock.
lair() {
  at "$1" lock || return
  here || return 41
  [ -d "$B" ] && [ ! -L "$B" ] || {
    no 42 "it is not a folder"
    return
  }
  step lock && trust "$V"
}

# v_lock FOLDER TAKE RUN LEASE HOLDER: HOLDER is the rest of the line after `since`. Answers the epoch that was taken, or
# who has it. Of those who take it at once, one finds the name of the next epoch free.
v_lock() {
  at "$1" lock || return
  here || mkdir -- "$B" 2>/dev/null || here || return 47
  lair "$1" || return
  swept .runner-lock
  swept .runner-until
  T=./.runner-lock.$$
  t=100
  while [ "$t" -gt 0 ]; do
    t=$((t - 1))
    newest .
    clock || return
    if [ "$E" -ne 0 ]; then
      leased "$4" || continue
      vacant "$2" "$3" || {
        printf "held "
        stands
        return 0
      }
    fi
    gone "$T" && mkdir -- "$T" || return 47
    printf "{\"since\":%s,%s\n" "$EN" "$5" > "$T/holder" && printf "%s\n" "$((EN + $4))" > "$T/until" || {
      gone "$T"
      no 45 "the lock cannot be written: the disk is full, or the folder is read-only"
      return
    }
    b=$((E + 1))
    mv -T -- "$T" "./$b" 2>/dev/null || {
      gone "$T"
      continue
    }
    # Whoever was slow may have made an epoch anew that was gone already.
    e=$E
    newest .
    [ "$E" -eq "$b" ] || {
      gone "./$b"
      continue
    }
    old "$e"
    printf "taken %s\n" "$b"
    return 0
  done
  no 42 "others took it all the time"
}

# vacant TAKE RUN: epoch E may be followed by another one.
vacant() {
  ! there "./$E/free" || return 0
  [ "$EN" -lt "$EU" ] || return 0
  case $1 in
    by-force) return 0 ;;
    of-run)
      case $EH in
        *"\"run\":\"$2\","*) return 0 ;;
      esac ;;
  esac
  return 1
}

# old EPOCH: those before it go, the lowest first: where one is left, none after it may go.
old() {
  k=8
  while [ "$k" -gt 0 ]; do
    k=$((k - 1))
    x=$1
    set +f
    for p in ./[1-9]*; do
      p=${p#./}
      case $p in
        *[!0-9]*) continue ;;
      esac
      [ "${#p}" -gt 15 ] || [ "$p" -ge "$x" ] || x=$p
    done
    set -f
    [ "$x" -lt "$1" ] || return 0
    gone "./$x" 2>/dev/null || return 0
  done
}

# v_renew FOLDER LEASE: from now on, unless another one was faster.
v_renew() {
  held && lair "$1" && clock || return
  T=./.runner-until.$$
  printf "%s\n" "$((EN + $2))" > "$T" && mv -f -- "$T" "./$LE/until" || {
    rm -f -- "$T"
    held || return
    no 45 "the lease cannot be written: the disk is full, or the folder is read-only"
    return
  }
  held
}

# v_release FOLDER
v_release() {
  held && lair "$1" || return
  printf "" > "./$LE/free" || return 45
}

# v_locked FOLDER: who has it.
v_locked() {
  lair "$1" || return
  newest .
  [ "$E" -ne 0 ] || return 41
  clock && leased 0 && stands
}
