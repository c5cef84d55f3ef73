"""Scripts that must print and end as in real shells; grouped by what they are about."""

from __future__ import annotations

WORDS = r"""
echo hello world
echo  a   b
echo 'a  b' "c  d" e\ f
echo "a'b" 'a"b' a\'b a\"b
printf '%s\n' "\$HOME \`x\` \\ \a \
joined"
echo a\
b
printf '%s\n' 'single\n' "double\\n"
echo "" '' | wc -c
echo a#b # a comment
# only a comment
echo $
echo "$" '$' \$
echo "a$" $%
echo ~root/x | cut -c1
x=1; echo $x ${x} "$x" '$x' \$x
x=abc; echo ${x}def $xdef "${x}d"
x='a  b'; echo $x; echo "$x"
x='*'; echo "$x"
set -f; x='*'; echo $x
echo "$(echo "a b")" $(echo "a   b")
echo `echo a` "`echo b`" `echo \`echo c\``
echo "`echo "a b"`"
echo $(echo a; echo b) "$(echo a; echo b)"
echo "$(printf 'a\n\n\n')"end
x=$(echo a)b$(echo c); echo $x
echo $((1 + 2))$(echo x)$((3))
echo "a
b"
a=1 b=2; echo $a$b
a=$(false); echo $?
a=$(exit 3); echo $?
a=b c=$a; echo $c
echo ${#} $#
echo "'$((2))'"
x="a b" y=$x; echo "$y"
echo a;echo b
echo a & wait
echo -n a; echo -n b; echo
echo {a,b}
echo "a"b'c'd
echo "$((1))""$((2))"
echo x"$(echo 'y"z')"w
echo 'it'\''s'
"""

PARAMETERS = r"""
echo ${x-default} ${x:-default} "${x-a b}"
x=; echo "${x-default}" "${x:-default}"
x=1; echo ${x+set} ${x:+set} ${y+set}end
x=; echo "${x+set}" "${x:+set}"
echo ${x=assigned} $x
x=; echo ${x:=again} $x
x=; echo "${x=again}" "$x"
(echo ${x?message}) 2>/dev/null; echo $?
(x=; echo ${x:?}) 2>/dev/null; echo $?
x=abc; echo ${#x}
x=; echo ${#x} ${#y}
x=a.b.c; echo ${x%.*} ${x%%.*} ${x#*.} ${x##*.}
x=/usr/local/bin; echo ${x##*/} ${x%/*} ${x#/usr}
x=aaa; echo ${x#a} ${x##a} ${x%a} ${x%%a*}
x='a*b'; echo "${x#a\*}" "${x#'a*'}" "${x%"*b"}"
x=abcd; echo ${x#?} ${x%[cd]} ${x#[!b]}
x=web-0; echo ${x##*-} ${x%-*}
x=ab; y=a; echo ${x#$y} ${x#"$y"}
x='*'; y='a*b'; echo "${y%"$x"b}"
echo ${x:-$(echo sub)} ${x:-$((1+1))}
echo ${x:-${y:-${z:-deep}}}
echo "${x:-"quoted word"}"
echo ${x:-'single quoted'}
echo ${x:-a b c}
set -- ${x:-a b c}; echo $#
set -- "${x:-a b c}"; echo $#
set -- a b c; echo $1 $2 $3 $# $* "$@"
set -- 'a b' c; for i in "$@"; do echo "<$i>"; done
set -- 'a b' c; for i in $@; do echo "<$i>"; done
set -- 'a b' c; for i in "$*"; do echo "<$i>"; done
set -- 'a b' c; IFS=-; echo "$*"
set -- 'a b' c; for i in x"$@"y; do echo "<$i>"; done
set --; for i in "$@"; do echo "<$i>"; done; echo $#
set -- ""; echo $#
set -- a b c d e f g h i j k; echo ${10} ${11} $10
set -- a b c; shift; echo $*; shift 2; echo $#
set -- a b; echo "${1+x}" "${3+x}" "${@+x}"
set -- -a -- b; echo $*
set -- a; set x y; echo $*
echo ${#-} >/dev/null; echo ok
x=5; echo $((x)) $((x+1)) $(($x*2))
HOME=/h; echo ~ ~/x "~" a~
x=~/y; HOME=/h; x=~/y; echo $x
HOME=/h; p=~/a:~/b; echo $p
x=a; x=${x}b; x=${x}c; echo $x
unset x; echo ${x-unset}; x=1; unset x; echo ${x-unset}
x='a b'; set -- $x; echo $#
x=" a  b "; set -- $x; echo $# "<$1>"
x=a:b::c; IFS=:; set -- $x; echo $# "$3" "$4"
x=:a:; IFS=:; set -- $x; echo $#
IFS=', '; x='a, b,c ,d'; set -- $x; echo $# $4
IFS=; x='a b'; set -- $x; echo $#
x='a	b
c'; set -- $x; echo $#
IFS=x; echo $(echo axbxc)
echo "$0" | wc -l
false; echo $?; true; echo $?
x=abc; case ${x#a} in bc) echo yes;; esac
echo "${x:-}" | wc -c
echo ${x:+a}${x:-b}
x=1; echo "${x:+"a  b"}"
unset IFS; x='a b'; set -- $x; echo $#
"""

ARITHMETIC = r"""
echo $((1+2*3)) $(((1+2)*3)) $((7/2)) $((7%3)) $((-7/2)) $((-7%3))
echo $((1<2)) $((2<=2)) $((3>4)) $((3>=4)) $((1==1)) $((1!=1))
echo $((1&&0)) $((1||0)) $((!5)) $((~5)) $((6&3)) $((6|3)) $((6^3))
echo $((1<<4)) $((256>>2))
echo $((0x1f)) $((010)) $((1 ? 2 : 3)) $((0 ? 2 : 3))
x=3; echo $((x*x)); echo $((x=5)) $x; echo $((x+=2)) $x
x=10; : $((x-=3)); : $((x*=2)); : $((x/=7)); echo $x
echo $((-3)) $((+3)) $((- -3)) $((2-1))
i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done
x=2; echo $((x > 1 && x < 3))
x=; echo $((x+1)) 2>/dev/null; echo done
echo $((9223372036854775807+1))
echo $((1 + $(echo 2))) $((${y:-4} * 2))
echo $(( (1+2)
*3 ))
x=5; y=x; echo $(($y+1))
echo "$((3*4))" a$((1))b
n=0; n=$(($n + 1)); n=$(($n + 1)); echo $n
echo $((1/0)) 2>/dev/null; echo unreachable
(echo $((1/0))) 2>/dev/null; echo $?
(echo $((1+))) 2>/dev/null; echo $?
"""

CONTROL = r"""
if true; then echo yes; else echo no; fi
if false; then echo yes; else echo no; fi
if false; then echo a; elif true; then echo b; else echo c; fi
if false; then echo a; fi; echo $?
if true
then
  echo multi
fi
for i in 1 2 3; do echo $i; done
for i in; do echo $i; done; echo $?
for i in a "b c" d; do echo "<$i>"; done
for i
do echo $i; done
set -- x y; for i do echo $i; done
for i in $(seq 3); do echo $i; done
for f in a b
do
echo $f
done | cat
while false; do echo x; done; echo $?
until true; do echo x; done; echo $?
i=0; until [ $i -ge 3 ]; do i=$((i+1)); echo $i; done
for i in 1 2 3 4; do if [ $i = 2 ]; then continue; fi; if [ $i = 4 ]; then break; fi; echo $i; done
for i in 1 2; do for j in a b c; do [ $j = b ] && continue 2; echo $i$j; done; done
for i in 1 2; do for j in a b c; do [ $j = b ] && break 2; echo $i$j; done; done
while true; do break; done; echo $?
for i in 1; do false; break; done; echo $?
for i in 1; do false; done; echo $?
case abc in a*) echo a;; *) echo other;; esac
case abc in x) echo x;; a?c|d) echo match;; esac
case "a b" in "a b") echo quoted;; esac
case x in (x) echo paren;; esac
case x in y) ;; esac; echo $?
case '*' in '*') echo star;; esac
case a in [!a]) echo no;; [a-c]) echo range;; esac
case 5 in [0-9]) echo digit;; esac
case b in [[:alpha:]]) echo alpha;; esac
x=a*; case abc in $x) echo pattern;; esac
x=a*; case abc in "$x") echo literal;; *) echo other;; esac
case a in a) echo 1;; a) echo 2;; esac
case $(echo hi) in hi) echo sub;; esac
case a in
  a|b)
    echo one
    ;;
  *) echo two
esac
true && echo yes || echo no
false && echo yes || echo no
true || echo no; echo $?
false || false; echo $?
! true; echo $?
! false; echo $?
! false | true; echo $?
true && false; echo $?
false && true; echo $?
{ echo a; echo b; } | cat
{ echo a; exit 3; echo b; }
(echo a; exit 3); echo $?
(x=1; echo $x); echo ${x-unset}
x=1; (x=2); echo $x
{ x=1; }; echo $x
( ( echo nested ) )
f() { echo f "$@"; }; f a b
f() { return 3; }; f; echo $?
f() { false; }; f; echo $?
f() { echo $1; shift; echo $1; }; f a b; echo $#
f() { local x=1; echo $x; }; x=0; f; echo $x
f() { x=1; }; f; echo $x
f() (x=1; echo $x); f; echo ${x-unset}
f() { for i in "$@"; do echo $i; done; }; f 1 2 3
f() { if [ $1 -gt 0 ]; then echo $1; f $(($1-1)); fi; }; f 3
f() { echo out; echo err >&2; }; f 2>/dev/null
f() { echo x; } >&2; f 2>&1
f() { return; }; false; f; echo $?
f() { echo a; return 0; echo b; }; f
f () { echo spaced; }
f
unset -f nothing; echo $?
f() { echo 1; }; unset -f f; f 2>/dev/null; echo $?
x=1 eval 'echo $x'
f() { echo $x; }; x=2 f
eval 'echo a; echo b'; echo $?
eval "x=1"; echo $x
eval 'exit 4'; echo no
eval; echo $?
exit 5
exit; echo no
false; exit
(exit 7); echo $?
sh -c 'exit 9'; echo $?
true; (false); echo $?
i=0; while :; do i=$((i+1)); [ $i -eq 5 ] && break; done; echo $i
while read x; do echo "<$x>"; done <<E
a
b
E
echo a b c | while read x y; do echo "$y"; done
x=0; echo a | while read l; do x=1; done; echo $x
for i in 1 2 3; do echo $i; done > /dev/null; echo $?
if (exit 3); then :; else echo $?; fi
return 3 2>/dev/null; echo no
break; echo $?
"""

OPTIONS = r"""
set -e; echo a; false; echo b
set -e; false || true; echo ok
set -e; if false; then :; fi; echo ok
set -e; ! true; echo ok
set -e; false && true; echo ok
set -e; true && false; echo no
set -e; (false); echo no
set -e; x=$(false); echo no
set -e; f() { false; echo in; }; f; echo no
set -e; f() { false; echo in; }; f || echo failed
set -e; while false; do :; done; echo ok
set -e; echo a | false; echo no
set -e; false | true; echo ok
set -e; { false; }; echo no
set +e; false; echo ok
set -eu; echo ${x:-d}; echo $y; echo no
set -u; x=; echo "<$x>"
set -u; (echo $nope) 2>/dev/null; echo $?
set -u; echo "$@" $# ok
set -x; echo a 2>/dev/null
set -f; echo *; set +f
set -- -e; printf '%s\n' $1
set -o errexit; false; echo no
set -ex 2>/dev/null; echo ok
set -a; X=1; sh -c 'echo $X'
set -n; echo no
set -C; echo a > f1; (echo b > f1) 2>/dev/null || cat f1; echo c >| f1; cat f1
trap 'echo bye' EXIT; echo hi
trap 'echo bye' EXIT; exit 3
trap 'echo bye' 0; false
trap 'echo $?' EXIT; (exit 4)
(trap 'echo inner' EXIT; echo body); echo after
trap 'echo outer' EXIT; (echo sub)
trap 'exit 5' EXIT; exit 3
trap - EXIT; echo none
trap 'echo a' EXIT; trap - EXIT; echo b
trap 'echo got; exit 6' TERM; kill -TERM $$; echo no
trap 'echo got' USR1; kill -USR1 $$; echo after
trap '' TERM; kill $$; echo alive
sh -c 'kill $$'; echo $?
sh -c 'kill -9 $$'; echo $?
set -e; trap 'echo end' EXIT; false; echo no
f() { trap 'echo x' EXIT; }; f; echo y
sh -e -c 'false; echo no'; echo $?
sh -c 'echo $0 $1 $#' name arg1 arg2
sh -c 'echo "$@"' x 'a b' c
sh -uc 'echo ${x-ok}'
echo 'echo from stdin; exit 3' | sh; echo $?
printf 'if true\nthen echo joined\nfi\n' | sh
echo 'echo $1' | sh -s arg
echo 'echo $0 $1' > s.sh; sh s.sh one
"""

REDIRECTIONS = r"""
echo a > f; cat f
echo a > f; echo b >> f; cat f
echo a > f; echo b > f; cat f
echo err >&2
echo err 2>&1 >&2 | cat
(echo out; echo err >&2) 2>&1 | sort
(echo out; echo err >&2) 2>/dev/null
(echo out; echo err >&2) >/dev/null 2>&1; echo $?
{ echo a; echo b; } > f; cat f
cat < /dev/null; echo $?
echo a > f; cat < f; wc -l < f
echo a >f 2>&1; cat f
exec > f; echo a; exec >&2; cat f
exec 3> f; echo a >&3; echo b >&3; exec 3>&-; cat f
echo hello > f; exec 3< f; read x <&3; echo $x
cat <<E
a $((1+1)) b
E
x=v; cat <<E
$x ${x} $(echo s) `echo b` \$x "q" 'q'
E
x=v; cat <<'E'
$x ${x} $(echo s)
E
cat <<"E"
$x \$y
E
cat <<-E
	tabs
		more
	E
cat <<A; cat <<B
a
A
b
B
cat <<E | tr a-z A-Z
piped
E
while read a b; do echo "$b $a"; done <<E
1 2
3 4
E
if true; then cat <<E
inside
E
fi
x=$(cat <<E
sub $((2))
E
); echo "$x"
cat <<E
line \
joined
E
f() { cat <<E
$1
E
}; f arg
echo a b > f; read x y < f; echo $y $x
for i in 1 2; do echo $i; done > f; cat f
if true; then echo a; fi > f; cat f
while read l; do echo $l; done < /dev/null; echo $?
echo a 1>&2 2>/dev/null; echo $?
> f; wc -c < f
: > f; test -s f; echo $?
echo x | cat - | cat
echo a | { read x; echo got $x; }
echo 1 2 3 | { read a rest; echo $rest; }
printf 'a\nb\n' | { read x; cat; }
printf 'a b\\c\n' | { read x; echo "$x"; }
printf 'a b\\c\n' | { read -r x; printf '%s\n' "$x"; }
printf '  a  b  \n' | { read x; echo "<$x>"; }
printf '  a  b  \n' | { IFS= read -r x; echo "<$x>"; }
printf 'a:b:c\n' | { IFS=: read x y; echo "$x $y"; }
printf 'nonl' | { read x; echo $? $x; }
read x < /dev/null; echo $?
echo a | cat > f; cat f
ls nothere 2>/dev/null; echo $?
cat f 2>/dev/null <<E
E
echo $?
echo a 3>&1 >/dev/null >&3
(exec 2>&1; echo err >&2) | cat
echo one > a.txt; echo two > b.txt; cat *.txt
echo > a.x; echo > b.x; echo *.x; echo ?.x [a].x "*.x" *.none
mkdir d; echo > d/f; echo d/*; echo */f
echo > .hidden; echo > seen; echo *e* .h*
touch f; [ -f f ] && [ -e f ] && [ ! -d f ] && echo file
mkdir d; [ -d d ] && echo dir; rmdir d; [ -d d ] || echo gone
touch f; rm f; [ -e f ]; echo $?
rm nothere 2>/dev/null; echo $?; rm -f nothere; echo $?
mkdir -p a/b/c; cd a/b; cd ..; ls; cd -  >/dev/null; ls
(cd /tmp && pwd); cd /; pwd
echo 'x=sourced; return 2; x=no' > lib.sh; . ./lib.sh; echo $? $x
echo 'echo $1' > lib.sh; . ./lib.sh
printf 'echo script $1\n' > s; chmod +x s; ./s arg
printf '#!/bin/sh\nexit 4\n' > s; chmod +x s; ./s; echo $?
echo x > s; ./s 2>/dev/null; echo $?
./nothere 2>/dev/null; echo $?
nothere 2>/dev/null; echo $?
cp /dev/null f; echo a > f; cp f g; cat g; mv g h; cat h; ls
"""

BUILTINS = r"""
[ a = a ]; echo $?; [ a = b ]; echo $?
[ a != b ] && echo ne; [ -z "" ] && echo z; [ -n "" ] || echo n
[ 1 -eq 1 ] && [ 1 -ne 2 ] && [ 1 -lt 2 ] && [ 2 -le 2 ] && [ 3 -gt 2 ] && [ 3 -ge 3 ] && echo all
[ ! a = b ] && echo not
[ a = a -a b = b ] && echo and; [ a = b -o b = b ] && echo or
[ ]; echo $?; [ "" ]; echo $?; [ x ]; echo $?
[ -n ]; echo $?; [ ! ]; echo $?; [ = ]; echo $?
[ "(" = "(" ]; echo $?; [ \( a = a \) ] && echo parens
[ 1 -eq x ] 2>/dev/null; echo $?
test -d / && echo root; test -e /dev/null && echo null; test -f /dev/null || echo nofile
test a; echo $?; test; echo $?
test -z a -o -n b; echo $?
printf '%s\n' a b c
printf '%s-%s\n' a b c
printf '%d %5d|%-5d|%05d\n' 1 2 3 4
printf '%x %X %o %c\n' 255 255 8 abc
printf '%5s|%-5s|%.2s\n' a b cde
printf 'no newline'
printf '%%\n'
printf '%b\n' 'a\tb\0101'
printf '\101\n\x41\n' 2>/dev/null | head -1
printf '%s\n'
printf '%d\n' 0x10 010 "'A"
printf '%.3f\n' 3.14159
printf '%*d\n' 5 42
printf '%s %s\n' "a b" c
echo a | read x; echo $?
export A=1; sh -c 'echo $A'
A=1; sh -c 'echo ${A-unset}'
A=1 sh -c 'echo $A'; echo ${A-unset}
A=1; export A; A=2; sh -c 'echo $A'
export A; sh -c 'echo ${A-unset}'
export A=1; unset A; sh -c 'echo ${A-unset}'
export A='x y'; sh -c 'echo "$A"'
x='a b'; export A=$x; echo "$A"
readonly R=1; (R=2) 2>/dev/null; echo $?
readonly R=1; echo $R
type cd >/dev/null && echo ok; type nothere >/dev/null 2>&1; echo $?
command -v cd; command -v nothere; echo $?
command echo hi; command -v echo
echo() { printf 'mine\n'; }; echo x; command echo real
pwd >/dev/null; echo $?
: ; echo $?; : a b; true x; echo $?
umask 022; umask
getopts ab: o -a -b arg; echo $o
while getopts ab:c o; do echo "$o:$OPTARG"; done
set -- -a -b val -c rest; while getopts ab:c o; do echo "$o:$OPTARG"; done; shift $((OPTIND-1)); echo $*
set -- -abval; while getopts ab: o; do echo "$o:$OPTARG"; done
set -- -x; getopts :a o; echo $o $OPTARG
set -- -a; getopts :a: o; echo $o $OPTARG
true & wait; echo $?
(exit 3) & wait $!; echo $?
sleep 0.01 & wait; echo slept
{ sleep 0.02; echo second; } & echo first; wait
false & true; wait $!; echo $?
wait; echo $?
kill -0 $$; echo $?
sleep 5 & kill $!; wait $! 2>/dev/null; echo $?
times >/dev/null; echo $?
hash >/dev/null; echo $?
x=$(echo a | tr a b); echo $x
exec echo replaced; echo no
(exec echo sub); echo after
exec nothere 2>/dev/null; echo no
env A=1 sh -c 'echo $A'
env -i sh -c 'echo ${HOME-unset}'
eval 'if' 2>/dev/null; echo no
local x 2>/dev/null; echo no
cd /nothere 2>/dev/null; echo no
. ./nothere 2>/dev/null; echo no
command . ./nothere 2>/dev/null; echo ok
set -- a b c; for last; do :; done; echo $last
IFS=: ; set -- a b; echo "$*" $*
"""

PIPES = r"""
echo a | cat
echo a | cat | cat | cat
printf 'c\na\nb\n' | sort
printf 'c\na\nb\n' | sort -r | head -1
seq 10 | head -3
seq 10 | tail -3
seq 5 | tail -n +4
seq 3 -1 1
seq 2 2 6; seq -s, 3
seq 10 | wc -l
printf 'a b c\n' | wc -w
printf 'abc' | wc -c
echo a b | cut -d' ' -f2
printf 'a:b:c\nd:e:f\n' | cut -d: -f1,3
echo abcdef | cut -c2-4
echo hello | tr a-z A-Z
echo hello | tr -d l
echo aabbcc | tr -s ab
printf 'a\na\nb\n' | uniq
printf 'a\na\nb\n' | uniq -c | tr -s ' '
printf 'a\nb\na\n' | sort | uniq -d
printf 'a\nb\nab\n' | grep a
printf 'a\nb\nab\n' | grep -v a
printf 'a\nb\nab\n' | grep -c a
printf 'a\nA\n' | grep -i a
printf 'foo1\nbar\n' | grep -o '[a-z]*[0-9]'
printf 'a\nb\n' | grep -q b; echo $?
printf 'a\nb\n' | grep -q c; echo $?
printf 'ab\nac\nad\n' | grep -E 'a(b|c)'
printf 'a.b\naxb\n' | grep -F a.b
printf 'a\nb\n' | grep -n b
printf 'word\nwords\n' | grep -w word
printf 'x\nxx\n' | grep -x x
printf '10\n9\n2\n' | sort -n
printf 'b 1\na 2\n' | sort -k2
printf 'a\nb\na\n' | sort -u
while true; do echo y; done | head -2
seq 100000 | head -1
yes | head -3
(while :; do echo x; done) | head -1; echo done
true | false; echo $?
false | true; echo $?
exit 3 | exit 4; echo $?
echo a | { cat; echo b; }
for i in 3 1 2; do echo $i; done | sort | head -1
echo 'a b c' | xargs echo x
printf 'a\nb\n' | xargs -n1 echo
printf 'a b\n' | xargs -I{} echo '<{}>'
seq 6 | xargs -n 2
echo hi | tee f; cat f
echo hi | tee -a f >/dev/null; echo ho | tee -a f >/dev/null; cat f
basename /a/b.txt; basename /a/b.txt .txt; dirname /a/b.txt; dirname a
timeout 5 echo ok; echo $?
timeout 0.1 sleep 5; echo $?
timeout 1 sh -c 'exit 3'; echo $?
timeout 1 nothere 2>/dev/null; echo $?
env | grep -c '^PATH='
id -u; whoami; uname
expr 1 + 2; expr 3 \* 4; expr a = b; expr abc : 'a\(.\)c'
printf '1 2\n3 4\n' | while read a b; do echo $((a+b)); done
echo a b c | tr ' ' '\n' | sort -r | tr '\n' ' '; echo
cat nothere 2>/dev/null | cat; echo $?
echo "$(seq 3 | tr '\n' ' ')"
x=$(printf '%s\n' b a | sort); echo $x
printf 'k=v\n' | cut -d= -f2
date +%Y | wc -c
test "$(echo x)" = x && echo same
printf 'a\tb\n' | cut -f2
echo abc | rev
printf '3\n1\n2\n' | sort | tail -1
head -c 3 <<E
abcdef
E
"""

EDITORS = r"""
printf 'one two\n' | awk '{print $2}'
printf 'a:b\n' | awk -F: '{print $2}'
printf 'a 1\nb 2\n' | awk '/b/ {print $2}'
printf 'a 1\nb 2\n' | awk '{s += $2} END {print s, NR}'
printf '  HTTP/1.1 200 OK\n' | awk '/^  HTTP/{print $2}'
printf 'a\nb\na\n' | awk '{n[$1]++} END {for (k in n) print k, n[k]}' | sort
awk 'BEGIN {for (i = 0; i < 3; i++) print i; printf "%d-%s-%.2f\n", 5, "x", 1.5}'
echo 'a b c' | awk '{$2 = "X"; print; print NF, $NF}'
printf '1\n2\n3\n' | awk 'NR == 2'
printf '1\n2\n3\n' | awk 'NR > 1 && $1 != 3 {print "got " $1}'
awk 'BEGIN {print length("abc"), substr("hello", 2, 3), index("abc", "c"), toupper("x"), int(3.7)}'
awk 'BEGIN {n = split("a,b,c", p, ","); print n, p[1], p[3]}'
echo aXbX | awk '{gsub(/X/, "-"); print}'
echo aXbX | awk '{sub("X", "[&]"); print}'
echo 'k=v' | awk -F= -v want=k '$1 == want {print $2}'
awk 'BEGIN {print 1 == 1.0, "a" < "b", "10" < "9", 2 ^ 10, 7 % 3, 1/4}'
awk 'BEGIN {exit 3}'; echo $?
printf 'a\nb\nc\nd\n' | awk '/b/,/c/'
awk 'BEGIN { while (i < 3) { i++; if (i == 2) continue; print i } }'
awk 'BEGIN { print "a" "b", 1 + 2 "x"; x["a"]; if ("a" in x) print "in"; print !0, -3 }'
awk 'BEGIN { print substr("x", 0), length() }' < /dev/null
awk 'BEGIN { printf "%5s|%-5s|%05d|%x|%c\n", "a", "b", 42, 255, "z" }'
echo '5 apples' | awk '$1 > 3 ? 1 : 0 {print "many"}'
echo 'a  b' | awk '{print $1, $2; print $1 $2}' OFS=-
awk 'BEGIN { match("foobar", /o+/); print RSTART, RLENGTH }'
X=1 awk 'BEGIN { print ENVIRON["X"] }'
printf 'hello\n' | sed 's/l/L/'
printf 'hello\n' | sed 's/l/L/g'
printf 'hello\n' | sed 's/l/L/2'
printf 'a\nb\nc\n' | sed -n 2p
printf 'a\nb\nc\n' | sed 2d
printf 'a\nb\nc\n' | sed '$d'
printf 'a\nb\nc\nd\n' | sed '2,3d'
printf 'a\nb\nc\nd\n' | sed -n '/b/,/c/p'
printf 'a\nb\nc\n' | sed '/b/!d'
printf 'a=b\n' | sed 's/\(.*\)=\(.*\)/\2=\1/'
printf 'ab\n' | sed -E 's/(a)(b)/\2\1/'
printf 'x\n#c\ny\n' | sed '/^#/d'
printf '/a/b\n' | sed 's|/a|/c|; s/b/d/'
printf 'a\nb\n' | sed -e 's/a/1/' -e 's/b/2/'
printf 'a\nb\n' | sed '1i top' ; printf 'a\n' | sed '$a end'
printf 'abc\n' | sed 'y/abc/xyz/'
printf 'a\nb\nc\n' | sed 2q
printf 'a b\n' | sed 's/[^ ]* //'
printf 'a\n' | sed 's/a/&&/'
printf 'a.b\n' | sed 's/\./-/'
printf 'a\nb\n' | sed -n '$='
printf 'a\nb\n' | sed '2c new'
printf 'foo bar\n' | sed -n 's/foo/x/p'
echo old > f; sed -i 's/old/new/' f; cat f
printf 'a\nb\n' | sed '/a/{s/a/1/;s/1/2/}'
printf 'a/b\n' | sed 's/[/]/-/'
"""

EXPRESSIONS = r"""
echo abcd | grep -oE 'a|ab|abc'
echo foobar | sed -E 's/foo|foobar/X/'
echo abcd | sed -E 's/(a|ab)(c|bcd)(d*)/[\1][\2][\3]/'
echo foobar | awk '{ sub(/foo|foobar/, "X"); print }'
expr abcd : 'a\|abc'
echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac | grep -E "^(a+)+$"
echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac | grep -cE "^(a|a)*$"
echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac | sed -E 's/(a*)*b/X/'
echo baaac | sed 's/a*/x/g'
echo abc | sed 's/x*/-/g'
echo abab | grep -c '^\(ab\)\1$'
echo 'foo bar' | sed -E 's/(o)\1/0/'
echo abcabc | sed -E 's/^(.*)\1$/<\1>/'
echo 'a-foo foo_b foo' | grep -ow foo
echo 'foo foo' | grep -ow foo
echo 'foobar foo' | grep -wc 'foo\|foobar'
echo 'afoo foo' | sed 's/\<foo\>/X/g'
echo 'ab cd' | sed 's/\</,/g'
echo 'aaaa' | grep -oE 'a{,3}'
echo 'a{b' | grep -c 'a{b'
echo 'a+b' | grep -c 'a+b'
echo aab | grep -oE 'a**b'
echo ab | grep -oE 'a+?b'
echo a1b22c | awk -F '([0-9]+)' '{ print $1 $2 $3 }'
echo 'a' | grep -E '(a' ; echo $?
echo 'a' | grep -c '\(a\)\2' ; echo $?
echo '[x]' | grep -o '[[]x[]]'
echo 'x.y' | grep -c '^x[.]y$'
echo AbC | grep -ioE 'abc|b'
"""


def scripts(*groups: str) -> list[str]:
    """Cut groups into scripts: a line each, but one that is not complete goes on on the next."""
    from emulator.apps.shell.parser import parse
    from emulator.apps.shell.syntax import ShellSyntaxError

    found: list[str] = []
    for group in groups:
        pending = ""
        for line in group.strip("\n").split("\n"):
            pending += line + "\n"
            try:
                parse(pending, more_may_come=True)
            except ShellSyntaxError as error:
                if error.incomplete:
                    continue
            if not pending.endswith("\\\n"):
                found.append(pending.rstrip("\n"))
                pending = ""
        assert not pending, pending
    return found


ALL = (WORDS, PARAMETERS, ARITHMETIC, CONTROL, OPTIONS, REDIRECTIONS, BUILTINS, PIPES, EDITORS, EXPRESSIONS)
