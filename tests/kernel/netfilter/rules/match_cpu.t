@filter FORWARD
-m cpu --cpu 0 ; = ; ok
-m cpu ! --cpu 1 -j DROP ; = ; ok
-m cpu --cpu 4294967295 ; = ; ok
-m cpu --cpu 4294967296 ; ; fail
-m cpu --cpu x ; ; fail
-m cpu ; ; fail
