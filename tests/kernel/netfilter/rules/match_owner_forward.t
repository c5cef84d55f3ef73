@filter FORWARD
-m owner --uid-owner 5 ; ; fail
