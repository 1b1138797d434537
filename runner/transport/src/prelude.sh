# What runs on a target: POSIX sh and coreutils, nothing installed. It is handed to `sh -c` on one line (comments and
# line ends are taken out by script.rs, so a statement never spans lines other than after a word that continues it, and
# there is no single quote in here), then reads requests, one a line, and evaluates them.
#
# Statuses: 40 denied, 41 not found, 42 conflict, 43 invalid, 44 other, 45 no space, 46 needs the prefixes (in W),
# 47 no permission, 48 is a folder, 49 the intent was not written, 50 the copies failed, 51 no such program.
# A message for people is printed on stdout.
#
# N nonce, Y where setsid is, U and G user and group ids that are trusted, W granted prefixes, OK folders that were found safe, SK those
# of them where others may make files of their own.
# No newline of its own may be in a line: n holds one, X the tab that is between prefixes. Both are in what a shell
# begins with; every process that is spared is a millisecond.
n=${IFS#??}
X=${IFS#?}
X=${X%?}
W=
OK=$n
SK=$n
Z=
Y=
U=" 0 "
G=" "
export LC_ALL=C
umask 022
set -f

# q NUMBER VERB ARGUMENTS: answers on both streams, so that whoever asked knows where each ends.
q() {
  i=$1
  shift
  "$@"
  s=$?
  cd /
  W=
  umask 022
  set -f +C
  printf "%s:%s:%s\n" "$N" "$i" "$s"
  printf "%s:%s:%s\n" "$N" "$i" "$s" >&2
}

no() {
  s=$1
  shift
  printf "%s" "$*"
  return "$s"
}

# j INTENT VERB ARGUMENTS: the intent is on disk before the verb begins.
j() {
  printf "%s\n" "$1" >&9 || {
    printf "%s" "the intent could not be written to the run folder of the target"
    return 49
  }
  shift
  "$@"
}

# hello TRUSTED-UID TRUSTED-GID: facts, and who is trusted: root, this user and the one that logged in.
hello() {
  x=$(id) || return 51
  u=${x#uid=}
  me=${u#*\(}
  me=${me%%\)*}
  u=${u%%[!0-9]*}
  g=${x#* gid=}
  mg=${g#*\(}
  mg=${mg%%\)*}
  g=${g%%[!0-9]*}
  U=" 0 $u $1 "
  if [ "$me" = "$mg" ]; then
    G=" $g $2 "
    pg=$g
  else
    G=" $2 "
    pg=
  fi
  if [ -r /proc/sys/kernel/arch ] && [ -r /proc/sys/kernel/hostname ] && [ -r /proc/sys/kernel/ostype ]; then
    read -r a < /proc/sys/kernel/arch
    read -r h < /proc/sys/kernel/hostname
    read -r o < /proc/sys/kernel/ostype
    set -- "$o" "$h" "$a"
  else
    set -- $(uname -snm)
  fi
  d=unknown
  [ ! -r /etc/os-release ] || while IFS= read -r l; do
    case $l in
      ID=*)
        d=${l#ID=}
        d=${d#\"}
        d=${d%\"}
        break ;;
    esac
  done < /etc/os-release
  if [ -d /run/systemd/system ]; then
    s=systemd
  else
    s=unknown
    [ ! -r /proc/1/comm ] || IFS= read -r s < /proc/1/comm
  fi
  printf "%s\n" "user $me" "uid $u" "group $mg" "gid $g" "private $pg" "os $1" "hostname $2" "arch $3" "distribution $d" "init $s" "home $HOME"
  for p in tar zstd gzip sha256sum stat setsid systemctl; do
    command -v "$p"
  done
  return 0
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# trust FOLDER: refuses a physical path on which somebody else than a trusted user may put something in the place of
# something else. From the root down, so that by the time a folder is looked at nobody can have swapped it.
trust() {
  case $OK in
    *"$n$1$n"*) return 0 ;;
  esac
  D=$1
  case $D in
    *"$n"*)
      no 40 "a folder on the way has a line break in its name"
      return ;;
  esac
  r=${1#/}
  c=
  set -- /
  while [ -n "$r" ]; do
    x=${r%%/*}
    c=$c/$x
    set -- "$@" "$c"
    case $r in
      */*) r=${r#*/} ;;
      *) r= ;;
    esac
  done
  o=$(stat -c "%u %g %f" -- "$@") || {
    has stat || {
      no 40 "stat is missing on the target, so no path can be checked"
      return
    }
    no 40 "the folders above $D cannot be checked"
    return
  }
  IFS=$n
  set -- $o
  unset IFS
  r=${D#/}
  c=/
  for l do
    a=${l%% *}
    m=$((0x${l##* }))
    l=${l#* }
    l=${l%% *}
    [ $((m & 0170000)) -eq 16384 ] || {
      no 40 "$c is not a folder"
      return
    }
    case $U in
      *" $a "*) ;;
      *)
        no 40 "$c belongs to a user who is neither root, nor the login user, nor the acting user (user id $a)"
        return ;;
    esac
    w=$((m & 2))
    if [ $((m & 16)) -ne 0 ]; then
      case $G in
        *" $l "*) ;;
        *) w=1 ;;
      esac
    fi
    if [ "$w" -ne 0 ]; then
      [ $((m & 512)) -ne 0 ] || {
        no 40 "$c may be changed by others (its group id is $l)"
        return
      }
      SK=$SK$c$n
    fi
    OK=$OK$c$n
    x=${r%%/*}
    c=${c%/}/$x
    case $r in
      */*) r=${r#*/} ;;
      *) r= ;;
    esac
  done
}

# mine PATH: in a folder such as /tmp others may own what is there; then it can change under our hands. What is not
# there now may be there in a moment, made by one of them: Z says that it counts as missing from here on.
mine() {
  Z=
  case $SK in
    *"$n$PWD$n"*) ;;
    *) return 0 ;;
  esac
  there "$1" || {
    Z=1
    return 0
  }
  x=$(stat -c "%u" -- "$1")
  case $U in
    *" $x "*) return 0 ;;
  esac
  no 40 "it is in a folder that others may write to, and belongs to one of them (user id $x)"
}

# walk PATH: where the path leads, in Q, link by link. Each link must be where only trusted users can swap it.
walk() {
  z=${1#/}
  Q=/
  k=0
  while [ -n "$z" ]; do
    y=${z%%/*}
    case $z in
      */*) z=${z#*/} ;;
      *) z= ;;
    esac
    case $y in
      "" | .) continue ;;
      ..)
        Q=${Q%/*}
        Q=${Q:-/}
        continue ;;
    esac
    if [ -L "${Q%/}/$y" ]; then
      trust "$Q" || return
      cd -P -- "$Q" || return 44
      mine "./$y" || return
      k=$((k + 1))
      [ "$k" -le 40 ] || {
        no 42 "too many symbolic links"
        return
      }
      x=$(readlink -- "./$y" && printf x) || return 44
      x=${x%?x}
      case $x in
        /*) Q=/ ;;
      esac
      z=$x/$z
    else
      Q=${Q%/}/$y
    fi
  done
}

# inside FOLDER BASE: whether where FOLDER leads is in a granted prefix, all links on both ways being trustworthy.
inside() {
  A=$PWD
  walk "$1" || return
  [ "$Q" = "$A" ] || {
    no 40 "where $1 leads has changed meanwhile"
    return
  }
  IFS=$X
  set -- "$2" $W
  unset IFS
  b=$1
  shift
  for f do
    [ "$f" != / ] || return 0
    walk "${f%/*}/" || return
    [ "${A%/}/$b" != "${Q%/}/${f##*/}" ] || return 0
    walk "$f" || return
    case $A/ in
      "${Q%/}"/*) return 0 ;;
    esac
  done
  no 40 "it leads to $A, which is outside of what is granted"
}

# hold FOLDER BASE: this folder was just entered; it is where the path says or where a grant allows, and safe.
# Entering it again by its checked name makes sure, whatever a shell remembers of where it is.
hold() {
  if [ "$PWD" != "$1" ]; then
    [ -n "$W" ] || return 46
    V=$PWD
    inside "$1" "$2" || return
    # A link may not lead into what only the runner may touch; its own paths say `.runner` themselves.
    case $1/ in
      */.runner/*) ;;
      *)
        case $V/ in
          */.runner/*)
            no 40 "it leads to $V, which belongs to the runner"
            return ;;
        esac ;;
    esac
    cd -P -- "$V" || return 44
  fi
  trust "$PWD" || return
  V=$PWD
  cd -P -- "$V" || return 44
  [ "$PWD" = "$V" ] || {
    no 40 "where $1 leads has changed meanwhile"
    return
  }
}

# at FOLDER BASE: enters the folder; B is then what to act on.
at() {
  B=./$2
  cd -P -- "$1" 2>/dev/null || {
    lost "$1"
    return
  }
  hold "$1" "$2" || return
  mine "$B"
}

# lost FOLDER: why it cannot be entered.
lost() {
  if [ -d "$1" ]; then
    no 47 "no permission to enter $1"
  elif [ -e "$1" ] || [ -L "$1" ]; then
    no 42 "$1 is not a folder"
  else
    no 41 "no folder $1"
  fi
}

# near FOLDER BASE: enters the folder, or the nearest one above it that exists; R is then the way from there.
near() {
  F=$1
  R=
  Z=
  until cd -P -- "$F" 2>/dev/null; do
    if [ -e "$F" ] || [ -L "$F" ]; then
      lost "$F"
      return
    fi
    R=${F##*/}${R:+/$R}
    F=${F%/*}
    F=${F:-/}
  done
  if [ -n "$R" ]; then
    b=${R%%/*}
  else
    b=$2
  fi
  hold "$F" "$b" || return
  B=./$2
  [ -n "$R" ] || mine "$B"
}

# into FOLDER BASE: enters the folder FOLDER/BASE itself, which is no link.
into() {
  at "$1" "$2" || return
  here || return 41
  [ -d "$B" ] && [ ! -L "$B" ] || {
    no 42 "it is not a folder"
    return
  }
  cd -P -- "$B" 2>/dev/null || no 47 "no permission to enter it"
}

there() {
  [ -e "$1" ] || [ -L "$1" ]
}

# here: what the request acts on is there, and only trusted users can swap it.
here() {
  [ -z "$Z" ] && there "$B"
}

# look: kind and mode, size, seconds, ids, names. What is open for others to swap was refused before.
look() {
  here || return 41
  stat -c "%f %s %Y %u %g %U %G" -- "$B" || return 41
}

v_stat() {
  at "$1" "$2" && look
}

# v_dir FOLDER BASE MARK: one record for each entry; no name can hold the mark, which was not known when it was made.
v_dir() {
  into "$1" "$2" || return
  set +f
  for p in ./* ./.[!.]* ./..?*; do
    there "$p" && printf "%s\0" "$p"
  done | xargs -0 stat -c "$3 %f %s %Y %u %g %U %G %n" -- /
}

v_link() {
  at "$1" "$2" || return
  here || return 41
  [ -L "$B" ] || {
    no 42 "it is not a symbolic link"
    return
  }
  readlink -- "$B"
}

# plain: it is a regular file.
plain() {
  here || return 41
  [ ! -L "$B" ] || {
    no 42 "it is a symbolic link, which is not followed"
    return
  }
  [ ! -d "$B" ] || {
    no 48 "it is a folder"
    return
  }
  [ -f "$B" ] || {
    no 42 "it is neither a file nor a folder"
    return
  }
  [ -r "$B" ] || no 47 "no permission to read it"
}

# v_read FOLDER BASE LIMIT
v_read() {
  at "$1" "$2" && plain && head -c "$3" -- "$B"
}

v_cat() {
  at "$1" "$2" && plain && cat -- "$B"
}

v_sum() {
  at "$1" "$2" && plain && sum "$B"
}

sum() {
  sha256sum < "$1"
}

v_free() {
  near "$1" "$2" || return
  [ -z "$R" ] && here && [ -d "$B" ] && [ ! -L "$B" ] || B=.
  df -Pk -- "$B"
}

# tree MARK: all below this folder: a record with the mark for each entry, a line of sha256sum for each file, then,
# after the mark alone, what is in each link, in the order of the records.
tree() {
  find . -exec stat -c "$1 %f %s %u %g %n" -- {} + -type f -exec sha256sum -- {} + || {
    no 44 "not all of it could be read"
    return
  }
  printf "%s \n" "$1"
  find . -type l -exec readlink -z -- {} + 2>/dev/null || find . -type l -exec sh -c "for f do readlink -n -- \"\$f\" && printf \"\\0\" || exit 1; done" sh {} +
}

# v_tree FOLDER BASE MARK
v_tree() {
  into "$1" "$2" && tree "$3"
}

# v_cats FOLDER BASE: the files whose names come on stdin, one after the other.
v_cats() {
  into "$1" "$2" && xargs -0 cat --
}

# v_saw FOLDER BASE: what a change would find: the folder itself, then what is there, its digest or link.
v_saw() {
  at "$1" "$2" || return
  saw
}

saw() {
  if ! here; then
    stat -c "%f %s %Y %u %g %U %G" -- .
  elif [ -L "$B" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- . "$B" && readlink -- "$B"
  elif [ -f "$B" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- . "$B" && {
      [ -r "$B" ] || {
        no 47 "no permission to read it"
        return
      }
      sum "$B"
    }
  else
    stat -c "%f %s %Y %u %g %U %G" -- . "$B"
  fi
}

# v_saw_link FOLDER BASE: the same for a link, without the folder.
v_saw_link() {
  at "$1" "$2" || return
  here || return 41
  [ -L "$B" ] || {
    no 42 "something else than a symbolic link is there"
    return
  }
  readlink -- "$B"
}

# v_near FOLDER BASE: the same where the folder may be missing.
v_near() {
  near "$1" "$2" || return
  if [ -n "$R" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- .
  else
    saw
  fi
}

# dress PATH MODE OWNER: `-` leaves it as it is.
dress() {
  [ "$3" = - ] || chown -h -- "$3" "$1" || return 47
  [ "$2" = - ] || chmod -- "$2" "$1" || return 47
}

# place TEMPORARY MODE OWNER: gives it its attributes and its name, or removes it.
place() {
  dress "$1" "$2" "$3" && mv -Tf -- "$1" "$B" && return
  s=$?
  rm -f -- "$1"
  return "$s"
}

# v_write FOLDER BASE TEMPORARY UMASK MODE OWNER TEXT
v_write() {
  at "$1" "$2" || return
  umask "$4"
  set -C
  printf "%s" "$7" > "./$3" || {
    set +C
    rm -f -- "./$3"
    no 45 "the file could not be written whole: the disk is full, or the folder is read-only"
    return
  }
  set +C
  place "./$3" "$5" "$6"
}

# v_put FOLDER BASE TEMPORARY UMASK MODE OWNER SHA256: the content is what follows on stdin.
v_put() {
  at "$1" "$2" || return
  umask "$4"
  set -C
  cat > "./$3" || {
    set +C
    rm -f -- "./$3"
    no 45 "the file could not be written whole: the disk is full, or the folder is read-only"
    return
  }
  set +C
  x=$(sum "./$3")
  [ "${x%% *}" = "$7" ] || {
    rm -f -- "./$3"
    no 44 "the content arrived incomplete"
    return
  }
  place "./$3" "$5" "$6"
}

# down: makes the folders of R and enters them. mkdir alone fails where somebody was faster, so each is ours.
down() {
  while [ -n "$R" ]; do
    b=${R%%/*}
    case $R in
      */*) R=${R#*/} ;;
      *) R= ;;
    esac
    mkdir -- "./$b" || return 47
    cd -P -- "./$b" || return 44
    Z=
  done
}

# v_mkdir FOLDER BASE MODE OWNER
v_mkdir() {
  near "$1" "$2" || return
  [ -z "$R" ] || down || return
  if here; then
    [ -d "$B" ] && [ ! -L "$B" ] || {
      no 42 "it is not a folder"
      return
    }
  else
    mkdir -- "$B" || return 47
  fi
  dress "$B" "$3" "$4"
}

# v_symlink FOLDER BASE TEMPORARY POINTS-TO
v_symlink() {
  at "$1" "$2" || return
  [ -L "$B" ] || ! here || {
    no 42 "something else than a symbolic link is there"
    return
  }
  ln -s -- "$4" "./$3" || return 47
  place "./$3" - -
}

# v_rename FOLDER BASE NEW-FOLDER NEW-BASE
v_rename() {
  at "$1" "$2" || return
  here || return 41
  H=${PWD%/}/$2
  at "$3" "$4" || return
  there "$B" && {
    no 42 "the new name is taken"
    return
  }
  mv -T -- "$H" "$B"
}

v_remove() {
  at "$1" "$2" || return
  here || return 0
  if [ -L "$B" ] || [ ! -d "$B" ]; then
    rm -f -- "$B" || return 47
  else
    rmdir -- "$B" || return 42
  fi
}

# v_rmtree FOLDER BASE: of a release, its account goes too.
v_rmtree() {
  at "$1" "$2" || return
  here || return 0
  rm -rf -- "$B" || return 47
  case $PWD in
    */releases)
      cd -P .. || return 0
      [ -e "./.runner/releases/$2.json" ] && [ ! -L ./.runner ] && rm -f -- "./.runner/releases/$2.json" "./.runner/releases/$2.tree" ;;
  esac
  return 0
}

# v_dress FOLDER BASE MODE OWNER
v_dress() {
  at "$1" "$2" || return
  here || return 41
  [ ! -L "$B" ] || {
    no 42 "it is a symbolic link, which is not followed"
    return
  }
  dress "$B" "$3" "$4"
}

# v_begin FOLDER RUN: makes the folder of a run and keeps its file of intents open as 9.
v_begin() {
  near "$1" "$2" || return
  [ -z "$R" ] || down || return
  here || mkdir -m 700 -- "$B" || return 47
  case $PWD in
    */.runner/runs) there ../releases || mkdir -- ../releases ;;
  esac
  command exec 9>>"$B/intents.jsonl" || return 47
}

# v_unpack FOLDER BASE KEY UNZIP REUSE-FOLDER REUSE-BASE OWNER MARK: what comes on stdin is a tar with `tree/`, the
# list of `copy`, and perhaps the account. Answers the name of the temporary folder and all that is in it.
v_unpack() {
  at "$1" "$2" || return
  there "$B" && {
    no 42 "something is there"
    return
  }
  has tar || {
    no 51 "tar is missing on the target"
    return
  }
  set +f
  for p in ./.runner-unpack-"$3".*; do
    there "$p" || continue
    x=${p#./.runner-unpack-"$3".}
    [ -d "/proc/${x%%.*}" ] || rm -rf -- "$p"
  done
  set -f
  T=.runner-unpack-$3.$$
  H=$PWD
  mkdir -m 700 -- "./$T" || return 47
  fill "$4" "$5" "$6" "$7" "$8"
  s=$?
  [ "$s" -eq 0 ] || {
    cd -P -- "$H" && rm -rf -- "./$T"
  }
  return "$s"
}

fill() {
  cd -P -- "./$T" || return 44
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
    into "$2" "$3" >/dev/null && {
      xargs -0 cp -P --reflink=auto --preserve=mode,timestamps --parents -t "$H/$T/tree" -- < "$H/$T/copy" 2>/dev/null || {
        tr "\0" "\n" < "$H/$T/copy" > "$H/$T/lines" && tar -cf - -T "$H/$T/lines" | tar -xmof - -C "$H/$T/tree"
      }
    } || {
      no 50 "the files of the earlier release could not be copied"
      return
    }
    cd -P -- "$H/$T" || return 44
  fi
  [ "$4" = - ] || chown -R -h -- "$4" ./tree || return 47
  cd -P ./tree || return 44
  printf "%s\n" "$T"
  tree "$5"
}

# v_own FOLDER BASE OWNER: of all in it.
v_own() {
  into "$1" "$2" && {
    chown -R -h -- "$3" . || return 47
  }
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
    H=$PWD
    account || return
    x=0
    [ ! -r ../sequence ] || read -r x < ../sequence
    case $x in
      "" | *[!0-9]*) x=0 ;;
    esac
    x=$((x + 1))
    printf "%s\n" "$x" > ../sequence || return 45
    printf "{\"sequence\":%s,%s\n" "$x" "$5" > "$H/$3/$4.json" || return 45
    mv -f -- "$H/$3/$4.tree" "$H/$3/$4.json" ./ || return 47
    cd -P -- "$H" || return 44
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
  [ -d ./.runner/releases ] || mkdir -p -- ./.runner/releases || return 47
  cd -P ./.runner/releases || return 44
  trust "$PWD"
}

# v_releases ROOT: what is live, then one account a line.
v_releases() {
  cd -P -- "$1" 2>/dev/null || return 41
  hold "$1" . || return
  H=$PWD
  x=
  if [ -L ./current ] && cd -P ./current 2>/dev/null; then
    case $PWD in
      "${H%/}"/releases/*) x=${PWD##*/} ;;
    esac
  fi
  printf "%s\n" "$x"
  cd -P -- "$H" && cd -P ./.runner/releases 2>/dev/null || return 0
  trust "$PWD" || return
  set +f
  set -- 
  for p in ./*.json; do
    x=${p#./}
    [ -f "$p" ] && [ ! -L "$p" ] && [ -d "$H/releases/${x%.json}" ] && set -- "$@" "$p"
  done
  [ $# -eq 0 ] || cat -- "$@"
}

# v_account ROOT ID TEMPORARY TEXT: replaces the account of a release.
v_account() {
  cd -P -- "$1" 2>/dev/null || return 41
  hold "$1" . || return
  cd -P ./.runner/releases 2>/dev/null || return 41
  trust "$PWD" || return
  B=./$2.json
  [ -f "$B" ] || return 41
  set -C
  printf "%s\n" "$4" > "./$3" || {
    set +C
    return 45
  }
  set +C
  place "./$3" - -
}

# v_archive FOLDER BASE INTO-FOLDER INTO-BASE TEMPORARY ZIP: the tar goes to the file and to sha256sum at once; the
# file is then read back.
v_archive() {
  at "$3" "$4" || return
  there "$B" && {
    no 42 "$3/$4 exists"
    return
  }
  H=$PWD
  has tar && has mkfifo || {
    no 51 "tar or mkfifo is missing on the target"
    return
  }
  into "$1" "$2" || return
  B=./$4
  x=$(du -sk .)
  x=${x%%[!0-9]*}
  m=$(df -Pk -- "$H")
  m=${m##*"$n"}
  set -- "$5" "$6" $m
  [ "$6" -ge "$x" ] || {
    no 42 "the folder has $x KiB, and $H has only $6 KiB left"
    return
  }
  t=$H/$1
  mkfifo -m 600 -- "$t.pipe" || return 47
  sum "$t.pipe" > "$t.sum" &
  {
    tar -cf - . || [ $? -eq 1 ] || printf "tar failed" > "$t.bad"
  } | tee -- "$t.pipe" | pack "$2" > "$t" || printf "packing failed" > "$t.bad"
  wait
  read -r x < "$t.sum"
  m=$(unpack "$2" < "$t" | sha256sum)
  s=0
  if [ -s "$t.bad" ]; then
    s=45
    printf "the archive could not be written whole: the disk is full, or a file cannot be read"
  elif [ "${x%% *}" != "${m%% *}" ]; then
    s=45
    printf "the archive differs from the folder when it is read back"
  fi
  rm -f -- "$t.pipe" "$t.sum" "$t.bad"
  [ "$s" -eq 0 ] && cd -P -- "$H" && wc -c < "./$1" && place "./$1" - - && return
  rm -f -- "$t"
  return "$s"
}

pack() {
  case $1 in
    zstd) zstd -qc -1 ;;
    gzip) gzip -c -1 ;;
    *) cat ;;
  esac
}

unpack() {
  case $1 in
    zstd) zstd -qdc ;;
    gzip) gzip -dc ;;
    *) cat ;;
  esac
}

# group: the process group of this channel, for whoever must end it.
group() {
  x=$$
  if [ -r "/proc/$$/stat" ]; then
    read -r x < "/proc/$$/stat"
    x=${x##*) }
    x=${x#* * }
    x=${x%% *}
  fi
  printf "%s:group:%s\n" "$N" "$x"
  printf "%s:group:%s\n" "$N" "$x" >&2
}

# end SIGNAL GROUP: answers whether some of it is left.
end() {
  kill "-$1" "-$2" 2>/dev/null
  kill -0 "-$2" 2>/dev/null && printf left
  return 0
}

# v_run FOLDER BASE TEMPORARY ACCEPT DIRECTORY VARIABLES ARGV: what follows on stdin is for the command. With a
# TEMPORARY, stdout goes there, and gets its name when the command ends with a status in ACCEPT. VARIABLES is text to
# evaluate: it came by stdin, since an argument list can be seen by all.
v_run() {
  to=
  if [ -n "$3" ]; then
    at "$1" "$2" || return
    H=$PWD
    to=$H/$3
  fi
  T=$2
  t=$3
  C=$4
  E=$6
  if [ -n "$5" ]; then
    cd -P -- "$5" 2>/dev/null || {
      lost "$5"
      return
    }
  else
    cd || cd /
  fi
  shift 6
  case $1 in
    */*) [ -x "$1" ] && [ ! -d "$1" ] ;;
    *) has "$1" ;;
  esac || {
    case $1 in
      */*) there "$1" && {
        no 51 "$1 may not be executed"
        return
      } ;;
    esac
    no 51 "no program $1 (PATH is $PATH)"
    return
  }
  y=$Y
  exec 3<&0
  if [ -n "$to" ]; then
    set -C
    command exec 4> "$to" || {
      no 47 "its output cannot be written to $to"
      return
    }
    set +C
  else
    exec 4>&1
  fi
  (
    exec 9>&-
    unset LC_ALL OLDPWD SHLVL
    if [ -n "$y" ]; then
      set -- "$y" "$@"
    fi
    eval "$E"
    exec "$@"
  ) <&3 >&4 3<&- 4>&- &
  p=$!
  exec 3<&- 4>&- </dev/null
  [ -z "$y" ] || printf "%s:group:%s\n" "$N" "$p" >&2
  wait "$p"
  s=$?
  if [ -n "$to" ]; then
    case " $C " in
      *" $s "*)
        cd -P -- "$H" && B=./$T && place "./$t" - - || printf "%s:placed:no\n" "$N" >&2 ;;
      *) rm -f -- "$to" ;;
    esac
  fi
  printf "%s:ended:%s\n" "$N" "$s" >&2
  return 0
}

# v_service up|down TRIES: act and state are functions that the request defines.
v_service() {
  act </dev/null 9>&-
  s=$?
  printf "%s:ended:%s\n" "$N" "$s" >&2
  [ "$s" -eq 0 ] || return 0
  k=0
  while k=$((k + 1)); do
    if state </dev/null >/dev/null 2>&1 9>&-; then
      x=up
    else
      x=down
    fi
    [ "$x" != "$1" ] || return 0
    [ "$k" -lt "$2" ] || return 42
    sleep 0.05 2>/dev/null || sleep 1
  done
}

# v_quiet ARGV: only how it ends.
v_quiet() {
  has "$1" || {
    no 51 "no program $1 (PATH is $PATH)"
    return
  }
  "$@" </dev/null >/dev/null 2>&1 9>&- || return 1
}
