# Archives.

# v_packable FOLDER BASE: it is a folder or a file.
v_packable() {
  at "$1" "$2" || return
  here || return 41
  [ ! -L "$B" ] && { [ -d "$B" ] || [ -f "$B" ]; } || no 42 "it is neither a folder nor a file"
}

# v_archive FOLDER BASE INTO-FOLDER INTO-BASE TEMPORARY ZIP: what is packed is the second path. The file is read back
# before it gets its name.
v_archive() {
  at "$3" "$4" || return
  there "$B" && {
    no 42 "$3/$4 exists"
    return
  }
  H=$V
  umask 077
  has tar || {
    no 51 "tar is missing on the target"
    return
  }
  [ "$6" != plain ] || has sha256sum || {
    no 51 "sha256sum is missing on the target, which proves an archive that is not compressed"
    return
  }
  set -C
  filled "$1" "$2" "$6" 4> "./$5" 5< "./$5"
  s=$?
  set +C
  back "$H" || return
  B=./$4
  if [ "$s" -eq 0 ]; then
    wc -c < "./$5" && place "./$5" - - && return
    s=$?
  fi
  rm -f -- "./$5"
  [ "$s" -ge 40 ] || s=47
  return "$s"
}

# filled FOLDER BASE ZIP: archives the folder or file to descriptor 4 and reads it back from 5. Both were opened before its
# own folder was left: a path to it could be swapped meanwhile. A tar's checksum is taken on the way, through descriptor 3.
# Of a folder, the first thing in it is the folder itself; of a file, there is nothing else.
filled() {
  set +C
  second
  AB=1
  at "$1" "$2" || return
  here || return 41
  what=$B
  if [ -d "$B" ] && [ ! -L "$B" ]; then
    step "$2" || return
    alone "$1/$2" . || return
    what=.
  else
    plain || return
  fi
  if [ "$3" = plain ]; then
    x=$({ { { tar -cf - -- "$what" || [ $? -eq 1 ] || printf "FAILED\n" >&7; } | { tee /dev/fd/3 >&4 || printf "FAILED\n" >&7; }; } 3>&1 | sha256sum; } 7>&1)
    m=$(sha256sum <&5)
    [ -n "$m" ] || m=FAILED
  else
    x=$({ { tar -cf - -- "$what" || [ $? -eq 1 ] || printf "FAILED\n" >&7; } | { pack "$3" >&4 || printf "FAILED\n" >&7; }; } 7>&1)
    # Both forms have a checksum of what went in, which only the whole of it matches.
    m=$x
    unpack "$3" <&5 >/dev/null || m=FAILED
  fi
  case $x in
    *FAILED*)
      no 45 "the archive could not be written whole: the disk is full, or a file cannot be read"
      return ;;
  esac
  [ "$x" = "$m" ] || no 45 "the archive differs from what was packed when it is read back"
}

pack() {
  case $1 in
    zstd) zstd -qc --fast=1 --single-thread ;;
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

# taken FOLDER BASE: opens a file, the second path of the request, as 5.
taken() {
  H=$W
  p=$WX
  second
  at "$1" "$2" && plain && open "$B" || return
  command exec 5<&8
  exec 8<&-
  W=$H
  WX=$p
}

# v_contents FOLDER BASE ZIP MARK: reads an archive, the second path, whole. Answers its checksum, whose tar reads it, a
# line for each thing in it, and the mark, without which the answer is not whole.
v_contents() {
  has tar || {
    no 51 "tar is missing on the target"
    return
  }
  taken "$1" "$2" || return
  sha256sum < /proc/self/fd/5 || return
  case $(tar --version 2>/dev/null) in
    *"GNU tar"*) printf "gnu\n" ;;
    *) printf "other\n" ;;
  esac
  { x=$({ { unpack "$3" <&5 || printf "FAILED\n" >&7; } | { tar --numeric-owner -tvf - >&6 || printf "FAILED\n" >&7; }; } 7>&1); } 6>&1
  exec 5<&-
  [ -z "$x" ] || {
    no 45 "the archive is damaged or no archive: it cannot be read whole"
    return
  }
  printf "%s\n" "$4"
}

# v_unarchive FOLDER BASE KEY ZIP ARCHIVE-FOLDER ARCHIVE-BASE SHA256 OWNER MARK: unpacks the archive beside BASE, into a
# folder that only this user may enter. Answers its name and all that is in it.
v_unarchive() {
  taken "$5" "$6" || return
  AB=1
  at "$1" "$2" || return
  swept ".runner-unarchive-$3"
  T=.runner-unarchive-$3.$$
  H=$PWD
  mkdir -m 700 -- "./$T" || return 47
  unfold "$4" "$7" "$8" "$9"
  s=$?
  exec 5<&-
  [ "$s" -eq 0 ] || {
    back "$H" >/dev/null && gone "./$T"
  }
  return "$s"
}

unfold() {
  x=$(sha256sum < /proc/self/fd/5)
  [ "${x%% *}" = "$2" ] || {
    no 42 "the archive was changed while it was read"
    return
  }
  step "$T" || return
  mkdir -m 700 ./tree || return 47
  step tree || return
  x=$({ { unpack "$1" <&5 || printf "FAILED\n" >&7; } | { tar -xpf - || printf "FAILED\n" >&7; }; } 7>&1)
  [ -z "$x" ] || {
    no 45 "the archive could not be unpacked whole: the disk is full, or something in it may not be made"
    return
  }
  [ "$3" = - ] || chown -R -h -- "$3" . || return 47
  printf "%s\n" "$T"
  tree "$4"
}

# gone PATH: removes what is ours, whatever modes an archive gave to the folders in it.
gone() {
  rm -rf -- "$1" 2>/dev/null || {
    chmod -R u+rwX -- "$1" 2>/dev/null
    rm -rf -- "$1" || return 47
  }
}

# v_swap FOLDER BASE KEY TEMPORARY INSIDE: what was unpacked takes the place of what is there, which is kept, or removed
# last.
v_swap() {
  AB=1
  at "$1" "$2" || return
  LM=-
  o=
  if here; then
    [ ! -L "$B" ] && { [ -d "$B" ] || [ -f "$B" ]; } || {
      no 42 "something else than a folder or a file is there"
      return
    }
    alone "$1/$2" "$B" && nest || return
    o=./.runner-old-$3.$$
    if [ -n "$UC" ]; then
      p=f
      [ ! -d "$B" ] || p=t
      if far; then
        double "$B" "$UC/$p" || {
          spoilt
          return
        }
      else
        o=$UC/$p
      fi
      KP=made
    fi
    loose "$B" || return
    mv -T -- "$B" "$o" || return 47
  fi
  # A folder that its owner may not write to cannot be moved out of another one.
  m=-
  [ ! -d "./$4/$5" ] || [ -w "./$4/$5" ] || {
    m=$(stat -c %a -- "./$4/$5")
    chmod u+w -- "./$4/$5"
  }
  mv -T -- "./$4/$5" "$B" || {
    ! there "$o" || mv -T -- "$o" "$B" && dress "$B" "$LM" -
    gone "./$4"
    return 47
  }
  dress "$B" "$m" - || return
  gone "./$4"
  set +f
  for p in ./.runner-old-"$3".*; do
    ! there "$p" || gone "$p"
  done
  set -f
  return 0
}

# v_gone FOLDER BASE: of what was unpacked and is not needed.
v_gone() {
  at "$1" "$2" && gone "$B"
}
