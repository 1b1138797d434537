# Archives.

# v_archive FOLDER BASE INTO-FOLDER INTO-BASE TEMPORARY ZIP: what is packed is the second path. The file is read back
# before it gets its name.
v_archive() {
  at "$3" "$4" || return
  there "$B" && {
    no 42 "$3/$4 exists"
    return
  }
  H=$V
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

# filled FOLDER BASE ZIP: archives the folder to descriptor 4 and reads it back from 5. Both were opened before its
# own folder was left: a path to it could be swapped meanwhile. A tar's checksum is taken on the way, through descriptor 3.
filled() {
  set +C
  second
  AB=1
  into "$1" "$2" || return
  alone "$1/$2" . || return
  if [ "$3" = plain ]; then
    x=$({ { { tar -cf - . || [ $? -eq 1 ] || printf "FAILED\n" >&7; } | { tee /dev/fd/3 >&4 || printf "FAILED\n" >&7; }; } 3>&1 | sha256sum; } 7>&1)
    m=$(sha256sum <&5)
    [ -n "$m" ] || m=FAILED
  else
    x=$({ { tar -cf - . || [ $? -eq 1 ] || printf "FAILED\n" >&7; } | { pack "$3" >&4 || printf "FAILED\n" >&7; }; } 7>&1)
    # Both forms have a checksum of what went in, which only the whole of it matches.
    m=$x
    unpack "$3" <&5 >/dev/null || m=FAILED
  fi
  case $x in
    *FAILED*)
      no 45 "the archive could not be written whole: the disk is full, or a file cannot be read"
      return ;;
  esac
  [ "$x" = "$m" ] || no 45 "the archive differs from the folder when it is read back"
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
