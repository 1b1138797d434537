# Puts a link back, as the user whose link it is: R the folder, C the link's name, E what it points to if it is to be put
# back, B what it is to point to (it is removed where that is not set), T a name that nothing has.
exec 2>&1
export LC_ALL=C
cd -P -- "$R" && [ "$(pwd -P && printf x)" = "$R
x" ] || {
  printf '%s\n' "its folder is not what it was"
  exit 1
}
if [ -L "./$C" ]; then
  x=$(readlink -- "./$C" && printf x) || exit
  x=${x%?x}
  [ "$x" = "$E" ] || {
    printf 'left %s\n' "$x"
    exit 0
  }
else
  printf 'left\n'
  exit 0
fi
if [ -n "${B+set}" ]; then
  ln -s -- "$B" "./$T" && mv -Tf -- "./$T" "./$C" || {
    rm -f -- "./$T"
    exit 1
  }
else
  rm -f -- "./$C" || exit
fi
printf 'reverted\n'
