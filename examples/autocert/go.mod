module github.com/pleat-go/pleat/examples/autocert

go 1.26.0

replace github.com/pleat-go/pleat => ../..

require (
	github.com/pleat-go/pleat v0.0.0
	github.com/rs/zerolog v1.35.1
	golang.org/x/crypto v0.58.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/julienschmidt/httprouter v1.3.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
