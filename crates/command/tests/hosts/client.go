// Connects to the address of its argument, without a keepalive of its own. Sends a byte for each line on
// stdin, and prints whether it came back: `answered`, or `no answer` after four seconds.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	dialer := net.Dialer{KeepAlive: -1}
	connection, err := dialer.Dial("tcp4", os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println("connected")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		connection.SetDeadline(time.Now().Add(4 * time.Second))
		bytes := []byte{'x'}
		_, err := connection.Write(bytes)
		if err == nil {
			_, err = connection.Read(bytes)
		}
		if err == nil {
			fmt.Println("answered")
		} else {
			fmt.Println("no answer")
		}
	}
}
