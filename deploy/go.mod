module shorepass/deploy

go 1.26.0
