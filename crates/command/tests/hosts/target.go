// As target.c, with keepalive switched off: Go turns it on by itself (15 s). With the argument
// `default` that is left to Go.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func main() {
	config := net.ListenConfig{KeepAlive: -1}
	dialer := net.Dialer{KeepAlive: -1}
	if len(os.Args) > 1 && os.Args[1] == "default" {
		config.KeepAlive, dialer.KeepAlive = 0, 0
	}
	listener, err := config.Listen(nil, "tcp4", "127.0.0.1:0")
	check(err)
	client, err := dialer.Dial("tcp4", listener.Addr().String())
	check(err)
	server, err := listener.Accept()
	check(err)
	var accepted []net.Conn
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "accept" {
			connection, err := listener.Accept()
			check(err)
			accepted = append(accepted, connection)
			fmt.Println("accept ok")
			continue
		}
		if lines.Text() == "connect" {
			connection, err := dialer.Dial("tcp4", listener.Addr().String())
			check(err)
			other, err := listener.Accept()
			check(err)
			accepted = append(accepted, connection, other)
			fmt.Println("connect ok")
			continue
		}
		bytes := []byte{'x'}
		_, err = client.Write(bytes)
		check(err)
		_, err = io.ReadFull(server, bytes)
		check(err)
		_, err = server.Write(bytes)
		check(err)
		_, err = io.ReadFull(client, bytes)
		check(err)
		fmt.Println("echo ok")
	}
}
