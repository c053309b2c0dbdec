// Connects to port 7000 as Go's programs do, and stays.
package main

import "net"

func main() {
	connection, err := net.Dial("tcp", "127.0.0.1:7000")
	if err != nil {
		panic(err)
	}
	connection.Read(make([]byte, 1))
}
