@filter FORWARD
-p ipcomp -m ipcomp --ipcompspi 18 ; = ; ok
-p ipcomp -m ipcomp ! --ipcompspi 18:20 -j DROP ; = ; ok
-p ipcomp -m ipcomp ; -p ipcomp -m ipcomp --ipcompspi 0 ; ok
-m ipcomp ; ; fail
