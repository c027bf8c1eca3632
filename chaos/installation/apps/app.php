<?php
// A list of tokens in a session; what it answers is described in answer.ts.

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/healthz') {
    echo 'ok';
    return;
}

$id = $_COOKIE['PHPSESSID'] ?? null;
session_start();
if ($_SESSION === [] && $id !== null) {
    // For whoever has to find out where a session has gone: the request came with its ID, and nothing was there.
    error_log(sprintf('empty at %.3f: %s %s', microtime(true), $path, $id));
}
switch ("{$_SERVER['REQUEST_METHOD']} $path") {
    case 'GET /read':
        break;
    case 'POST /append':
        $_SESSION['generation'] ??= bin2hex(random_bytes(6));
        $_SESSION['tokens'][] = $_GET['token'];
        break;
    case 'POST /login':
        session_regenerate_id(true);
        break;
    case 'POST /logout':
        $_SESSION = [];
        session_destroy();
        break;
    default:
        http_response_code(404);
}
header('Content-Type: application/json');
echo json_encode([
    'server' => getenv('APP_NAME'),
    'generation' => $_SESSION['generation'] ?? null,
    'tokens' => $_SESSION['tokens'] ?? [],
]);
