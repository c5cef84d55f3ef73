@filter INPUT
-m rpfilter ; ; fail
