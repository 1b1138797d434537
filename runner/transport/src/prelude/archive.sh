# Archives.

# v_archive FOLDER BASE INTO-FOLDER INTO-BASE TEMPORARY ZIP: what is packed is the second path. The tar goes to the file
# and to sha256sum at once; the file is then read back.
v_archive() {
  at "$3" "$4" || return
  there "$B" && {
    no 42 "$3/$4 exists"
    return
  }
  H=$V
  has tar && has sha256sum || {
    no 51 "tar or sha256sum is missing on the target"
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
# own folder was left: a path to it could be swapped meanwhile. The checksum is taken on the way, through descriptor 3.
filled() {
  set +C
  second
  AB=1
  into "$1" "$2" || return
  alone "$1/$2" . || return
  x=$({ { { tar -cf - . || [ $? -eq 1 ] || printf "FAILED\n" >&7; } | tee /dev/fd/3 | { pack "$3" >&4 || printf "FAILED\n" >&7; }; } 3>&1 | sha256sum; } 7>&1)
  case $x in
    *FAILED*)
      no 45 "the archive could not be written whole: the disk is full, or a file cannot be read"
      return ;;
  esac
  m=$(unpack "$3" <&5 | sha256sum)
  [ -n "$x" ] && [ "${x%% *}" = "${m%% *}" ] || no 45 "the archive differs from the folder when it is read back"
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
