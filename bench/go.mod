module dhcpsec.example/bench

go 1.26.0

replace dhcpsec.example => ../

require (
	dhcpsec.example v0.0.0-00010101000000-000000000000
	github.com/google/certificate-transparency-go v1.4.0
	github.com/stretchr/testify v1.12.1
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
)
