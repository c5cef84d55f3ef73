@filter FORWARD
-p esp -m esp --espspi 256 ; = ; ok
-p esp -m esp --espspi 256:512 -j DROP ; = ; ok
-p esp -m esp ! --espspi 256: ; -p esp -m esp ! --espspi 256:4294967295 ; ok
-p esp -m esp --espspi :9 ; -p esp -m esp --espspi 0:9 ; ok
-p esp -m esp ; = ; ok
-p esp -m esp --espspi 0:4294967295 ; -p esp -m esp ; ok
-p esp -m esp --espspi 5:1 ; = ; ok
-m esp --espspi 5 ; ; fail
-p esp -m esp --espspi x ; ; fail
! -p esp -m esp --espspi 5 ; ; fail
