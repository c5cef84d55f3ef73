@filter FORWARD
-m quota --quota 1000 ; = ; ok
-m quota ! --quota 0 -j DROP ; = ; ok
-m quota --quota 18446744073709551615 ; = ; ok
-m quota --quota 18446744073709551616 ; ; fail
-m quota --quota x ; ; fail
-m quota ; ; fail
