# Runs, trees and releases.

# v_begin FOLDER RUN PREFIX: makes the folder of a run and keeps its file of intents open as 9. Whatever user a step acts
# as may add to the folders for copies and for groups, and list neither. Answers where the folder really is.
v_begin() {
  near "$1" "$2" || return
  # Where targets are one machine, another one may have been faster: what it made is checked like what was there.
  t=5
  while [ -n "$R" ]; do
    down && break
    x=$?
    t=$((t - 1))
    [ "$x" -eq 47 ] && [ "$t" -gt 0 ] || return "$x"
    near "$1" "$2" || return
  done
  here || mkdir -m 711 -- "$B" || here || return 47
  case $PWD in
    */.runner/runs) there ../releases || mkdir -- ../releases || there ../releases ;;
  esac
  there "$B/groups" || mkdir -m 1733 -- "$B/undo" "$B/groups" 2>/dev/null
  for p in undo groups; do
    there "$B/$p" || mkdir -m 1733 -- "$B/$p" || there "$B/$p" || return 47
  done
  umask 077
  x=
  [ ! -s "$B/intents.jsonl" ] || x=$(tail -c 1 -- "$B/intents.jsonl")
  command exec 9>>"$B/intents.jsonl" || return 47
  # A line that a power failure tore is not gone on with.
  [ -z "$x" ] || printf "\n" >&9
  umask 022
  GN=$3
  GD=$V/$2/groups
  mark
  printf "%s\n" "$V/$2"
}

# swept NAME: removes what processes left here under this name that are no more.
swept() {
  set +f
  for p in ./"$1".*; do
    there "$p" || continue
    x=${p#./"$1".}
    [ -d "/proc/${x%%.*}" ] || gone "$p"
  done
  set -f
}

# v_sweep FOLDER BASE KEY: what was laid out beside it and never got its name.
v_sweep() {
  at "$1" "$2" || return
  swept ".runner-unpack-$3"
  swept ".runner-unarchive-$3"
}

# v_unpack FOLDER BASE KEY UNZIP REUSE-FOLDER REUSE-BASE OWNER MARK: what comes on stdin is a tar with `tree/`, the
# list of `copy`, and perhaps the account. Answers the name of the temporary folder and all that is in it.
v_unpack() {
  AB=1
  at "$1" "$2" || return
  there "$B" && {
    no 42 "something is there"
    return
  }
  has tar || {
    no 51 "tar is missing on the target"
    return
  }
  swept ".runner-unpack-$3"
  T=.runner-unpack-$3.$$
  H=$PWD
  mkdir -m 700 -- "./$T" || return 47
  fill "$4" "$5" "$6" "$7" "$8"
  s=$?
  [ "$s" -eq 0 ] || {
    back "$H" >/dev/null && rm -rf -- "./$T"
  }
  return "$s"
}

fill() {
  step "$T" || return
  case $1 in
    zstd) zstd -qdc ;;
    gzip) gzip -dc ;;
    *) cat ;;
  esac | tar -xmof - || {
    cat >/dev/null
    no 45 "what was sent could not be unpacked whole: the disk is full, or the connection broke"
    return
  }
  if [ -f ./copy ]; then
    command exec 6< ./copy && command exec 7< ./copy && command exec 8< ./tree || return 47
    second
    into "$2" "$3" >/dev/null && copy 2>/dev/null
    s=$?
    exec 6<&- 7<&- 8<&-
    [ "$s" -eq 0 ] || {
      no 50 "the files of the earlier release could not be copied"
      return
    }
    back "$H/$T" || return
  fi
  # In a folder with the set-group-id bit, some `tar` leave it to every folder in the tree, some to none: only the
  # first one has it, so that the tree is the one that was sent.
  [ ! -g . ] || {
    find ./tree -mindepth 1 -type d -perm -2000 -exec chmod g-s {} + && { [ -g ./tree ] || chmod g+s ./tree; }
  } || return 47
  [ "$4" = - ] || chown -R -h -- "$4" ./tree || return 47
  step tree || return
  printf "%s\n" "$T"
  tree "$5"
}

# copy: what is listed in 6, and in 7 again, from here into the folder that is open as 8.
copy() {
  xargs -0 cp -P --reflink=auto --preserve=mode,timestamps --parents -t /proc/self/fd/8 -- <&6 || tr "\0" "\n" <&7 | tar -cf - -T - | tar -xmof - -C /proc/self/fd/8
}

# v_own FOLDER BASE OWNER: of all in it.
v_own() {
  AB=1
  into "$1" "$2" && alone "$1/$2" . && nest || return
  if [ -n "$UC" ]; then
    double . "$UC/t" || {
      spoilt
      return
    }
    KP=made
  fi
  chown -R -h -- "$3" . || return 47
}

v_discard() {
  at "$1" "$2" && rm -rf -- "$B"
}

# v_place FOLDER BASE TEMPORARY ID ACCOUNT: the verified tree gets its name; a release its account just before.
v_place() {
  at "$1" "$2" || return
  there "$B" && {
    no 42 "something is there"
    return
  }
  if [ -n "$4" ]; then
    H=$V
    command exec 8< . || return 47
    account || return
    x=0
    [ ! -r ../sequence ] || read -r x < ../sequence
    case $x in
      "" | *[!0-9]*) x=0 ;;
    esac
    x=$((x + 1))
    printf "%s\n" "$x" > ../sequence || return 45
    printf "{\"sequence\":%s,%s\n" "$x" "$5" > "/proc/self/fd/8/$3/$4.json" || return 45
    rm -f -- "./$4.plan" || return 47
    mv -f -- "/proc/self/fd/8/$3/$4.tree" "/proc/self/fd/8/$3/$4.json" ./ || return 47
    exec 8<&-
    back "$H" || return
  fi
  mv -T -- "./$3/tree" "$B" || return 47
  rm -rf -- "./$3"
}

# account: from the folder of releases into that of their accounts, which is made where it is missing.
account() {
  cd -P .. || return 44
  [ ! -L ./.runner ] && [ ! -L ./.runner/releases ] || {
    no 40 ".runner is a symbolic link"
    return
  }
  [ -d ./.runner ] || mkdir -- ./.runner || return 47
  [ -d ./.runner/releases ] || mkdir -- ./.runner/releases || return 47
  cd -P ./.runner/releases || return 44
  trust "$PWD"
}

# v_releases ROOT [SINCE]: what is live, after a blank; before it, where SINCE is not empty, since when. Then one account a
# line.
v_releases() {
  at "$1" releases || return
  H=$PWD
  x=
  if [ -L ./current ] && cd -P ./current 2>/dev/null; then
    case $PWD in
      "${H%/}"/releases/*) x=${PWD##*/} ;;
    esac
  fi
  t=
  [ -z "$2" ] || [ -z "$x" ] || t=$(cd -P -- "$H" && stat -c %Y -- ./current)
  printf "%s %s\n" "$t" "$x"
  cd -P -- "$H" && cd -P ./.runner/releases 2>/dev/null || return 0
  trust "$PWD" || return
  set +f
  for p in ./*.json; do
    x=${p#./}
    [ -f "$p" ] && [ ! -L "$p" ] && [ -d "$H/releases/${x%.json}" ] && IFS= read -r x < "$p" && printf "%s\n" "$x"
  done
  return 0
}

# ledger ROOT ID: enters the folder of the accounts, where this release has one.
ledger() {
  at "$1" releases || return
  [ ! -L ./.runner ] && [ ! -L ./.runner/releases ] || {
    no 40 ".runner is a symbolic link"
    return
  }
  cd -P ./.runner/releases 2>/dev/null || return 41
  trust "$PWD" && back "$PWD" && mine "./$2.json" || return
  [ -z "$Z" ] && [ -f "./$2.json" ] && [ ! -L "./$2.json" ] || no 41 "it has no account"
}

# v_account ROOT ID TEMPORARY TEXT: replaces the account of a release.
v_account() {
  ledger "$1" "$2" || return
  B=./$2.json
  set -C
  printf "%s\n" "$4" > "./$3" || {
    set +C
    return 45
  }
  set +C
  place "./$3" - -
}

# v_keep ROOT ID TEMPORARY SHA256: what comes on stdin is kept with the account. Not all who use the machine may read it.
v_keep() {
  ledger "$1" "$2" || return
  B=./$2.plan
  mine "$B" || return
  umask 077
  fresh "$3" "$4" && place "./$3" - -
}

# v_kept ROOT ID LIMIT
v_kept() {
  ledger "$1" "$2" || return
  B=./$2.plan
  mine "$B" && plain && open "$B" || return
  head -c "$3" <&8
  s=$?
  exec 8<&-
  return "$s"
}
