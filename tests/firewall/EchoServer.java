import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/** Answers with what it is sent: a thread for each connection ("blocking"), or one for all ("nio"). */
class EchoServer {
    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(arguments[1]);
        if (arguments[0].equals("nio")) {
            serveByOneThread(port);
        } else {
            serveByManyThreads(port);
        }
    }

    static void serveByManyThreads(int port) throws IOException {
        ServerSocket listener = new ServerSocket(port);
        System.out.println("listening");
        while (true) {
            Socket connection = listener.accept();
            new Thread(() -> {
                try (connection) {
                    byte[] bytes = new byte[1000];
                    int length;
                    while ((length = connection.getInputStream().read(bytes)) > 0) {
                        connection.getOutputStream().write(bytes, 0, length);
                    }
                } catch (IOException error) {
                    System.out.println(error.getMessage());
                }
            }).start();
        }
    }

    static void serveByOneThread(int port) throws IOException {
        Selector selector = Selector.open();
        ServerSocketChannel listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress(port));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        System.out.println("listening");
        ByteBuffer bytes = ByteBuffer.allocate(1000);
        while (true) {
            selector.select();
            for (SelectionKey key : selector.selectedKeys()) {
                if (key.isAcceptable()) {
                    SocketChannel connection = listener.accept();
                    connection.configureBlocking(false);
                    connection.register(selector, SelectionKey.OP_READ);
                    continue;
                }
                SocketChannel connection = (SocketChannel) key.channel();
                try {
                    if (connection.read(bytes.clear()) < 0) {
                        connection.close();
                    } else {
                        connection.write(bytes.flip());
                    }
                } catch (IOException error) {
                    System.out.println(error.getMessage());
                    connection.close();
                }
            }
            selector.selectedKeys().clear();
        }
    }
}
