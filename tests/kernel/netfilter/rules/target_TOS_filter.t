@filter FORWARD
-j TOS --set-tos 5 ; ; fail
