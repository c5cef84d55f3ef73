@filter FORWARD
-p tcp -m osf --genre Linux ; = ; ok
-p tcp -m osf ! --genre Windows --ttl 2 --log 0 -j DROP ; = ; ok
-p tcp -m osf --genre linux --ttl 3 ; ; fail
-m osf --genre Linux ; ; fail
-p tcp -m osf ; ; fail
