// As target.c; with the argument `nio`, through channels and selectors that do not block.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;

class Target {
    /** The three things that are done, in either style. */
    interface Style {
        int port();
        void accept() throws IOException;
        void echo() throws IOException;
    }

    static class Blocking implements Style {
        final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        final Socket client = new Socket(InetAddress.getLoopbackAddress(), port());
        final Socket server = listener.accept();
        final List<Socket> accepted = new ArrayList<>();

        Blocking() throws IOException {}

        public int port() {
            return listener.getLocalPort();
        }

        public void accept() throws IOException {
            accepted.add(listener.accept());
        }

        public void echo() throws IOException {
            client.getOutputStream().write('x');
            server.getOutputStream().write(server.getInputStream().read());
            if (client.getInputStream().read() != 'x') throw new IOException("another byte");
        }
    }

    static class Nio implements Style {
        final ServerSocketChannel listener = ServerSocketChannel.open();
        final SocketChannel client = SocketChannel.open();
        final SocketChannel server;
        final List<SocketChannel> accepted = new ArrayList<>();

        Nio() throws IOException {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            listener.configureBlocking(false);
            client.configureBlocking(false);
            client.connect(listener.getLocalAddress());
            server = accepting();
            ready(client, SelectionKey.OP_CONNECT);
            client.finishConnect();
        }

        static void ready(SelectableChannel channel, int operation) throws IOException {
            try (Selector selector = Selector.open()) {
                channel.register(selector, operation);
                selector.select();
            }
        }

        SocketChannel accepting() throws IOException {
            ready(listener, SelectionKey.OP_ACCEPT);
            SocketChannel channel = listener.accept();
            channel.configureBlocking(false);
            return channel;
        }

        static void pass(SocketChannel from, SocketChannel to) throws IOException {
            from.write(ByteBuffer.wrap(new byte[] {'x'}));
            ready(to, SelectionKey.OP_READ);
            if (to.read(ByteBuffer.allocate(1)) != 1) throw new IOException("no byte");
        }

        public int port() {
            return listener.socket().getLocalPort();
        }

        public void accept() throws IOException {
            accepted.add(accepting());
        }

        public void echo() throws IOException {
            pass(client, server);
            pass(server, client);
        }
    }

    public static void main(String[] arguments) throws IOException {
        Style style = arguments.length > 0 ? new Nio() : new Blocking();
        System.out.println("ready " + style.port());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            if (line.equals("accept")) {
                style.accept();
                System.out.println("accept ok");
            } else {
                style.echo();
                System.out.println("echo ok");
            }
        }
    }
}
