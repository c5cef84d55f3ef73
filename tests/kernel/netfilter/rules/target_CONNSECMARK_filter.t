@filter FORWARD
-j CONNSECMARK --save ; ; fail
