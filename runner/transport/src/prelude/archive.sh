# Archives.

# v_archive FOLDER BASE INTO-FOLDER INTO-BASE TEMPORARY ZIP: what is packed is the second path. The tar goes to the file and to sha256sum at once; the
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
  second
  AB=1
  into "$1" "$2" || return
  alone "$1/$2" . || return
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
  sha256sum < "$t.pipe" > "$t.sum" &
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
  [ "$s" -eq 0 ] && back "$H" && wc -c < "./$1" && place "./$1" - - && return
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
